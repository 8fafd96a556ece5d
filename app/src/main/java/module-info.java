/** Memvisor's command line. */
@org.jspecify.annotations.NullMarked
module memvisor.app {
  requires static org.jspecify;
  requires java.management;
  requires memvisor.core;
  requires info.picocli;
  requires tools.jackson.core;
  requires tools.jackson.databind;
  requires tools.jackson.dataformat.yaml;
  requires org.apache.commons.compress;
  requires org.tukaani.xz;

  opens memvisor.app.cli to
      info.picocli;
  opens memvisor.app.cli.host to
      tools.jackson.databind;
}
