/** Memvisor's command line. */
@org.jspecify.annotations.NullMarked
@SuppressWarnings("requires-automatic") // aircompressor has no module descriptor
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
  requires aircompressor.v3;

  opens memvisor.app.cli to
      info.picocli;
  opens memvisor.app.cli.host to
      tools.jackson.databind;
}
