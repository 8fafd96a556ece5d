package memvisor.app.cli;

import picocli.CommandLine.IVersionProvider;

/** What {@code --version} prints. */
final class VersionText implements IVersionProvider {
  @Override
  public String[] getVersion() {
    return new String[] {
      "memvisor 0.1.0", "Java " + Runtime.version() + " on " + System.getProperty("os.arch")
    };
  }
}
