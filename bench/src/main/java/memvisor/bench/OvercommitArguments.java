package memvisor.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import memvisor.boot.BootRequest;
import memvisor.cpu.jit.JitMode;
import memvisor.cpu.jit.JitOptions;
import memvisor.machine.ClockMode;
import memvisor.machine.TechniqueKind;
import memvisor.machine.fleet.VmHost;
import memvisor.machine.fleet.VmSpec;
import memvisor.machine.pc.PcConfiguration;
import memvisor.machine.pc.VirtioSpec;

/**
 * What {@code bench/overcommit} hands to its measurements, and the guests made of it.
 *
 * @param request the guest's kernel, with modules for a balloon and a disk
 * @param rounds how often something is repeated
 * @param technique how the guests' memory is virtualized
 * @param hostBytes machine memory
 * @param directory where files may be made
 */
record OvercommitArguments(
    BootRequest request, int rounds, TechniqueKind technique, long hostBytes, Path directory) {
  static OvercommitArguments of(String[] arguments) throws IOException {
    BootRequest request =
        BootRequest.of(Files.readAllBytes(Path.of(arguments[0])))
            .withInitrd(Files.readAllBytes(Path.of(arguments[1])))
            .withCommandLine("console=ttyS0 quiet cryptomgr.notests panic=-1");
    return new OvercommitArguments(
        request,
        Integer.parseInt(arguments[2]),
        TechniqueKind.valueOf(arguments[3].toUpperCase(Locale.ROOT)),
        Long.parseLong(arguments[4]) << 20,
        Path.of(arguments[5]));
  }

  /** A file of this process's own; nothing is there yet. */
  Path file(String name) {
    return directory.resolve("memvisor-%s-%d".formatted(name, ProcessHandle.current().pid()));
  }

  /** Boots a guest with a balloon and these devices besides. */
  GuestShell boot(VmHost host, String name, long memoryBytes, List<VirtioSpec> devices)
      throws InterruptedException {
    return boot(host, name, memoryBytes, devices, false);
  }

  /** The same, and the guest reports its free pages. */
  GuestShell bootReporting(VmHost host, String name, long memoryBytes) throws InterruptedException {
    return boot(host, name, memoryBytes, List.of(), true);
  }

  private GuestShell boot(
      VmHost host, String name, long memoryBytes, List<VirtioSpec> devices, boolean reporting)
      throws InterruptedException {
    List<VirtioSpec> all = new java.util.ArrayList<>(devices);
    all.add(new VirtioSpec.Balloon(false, reporting));
    PcConfiguration configuration =
        PcConfiguration.of(memoryBytes, technique, ClockMode.REAL)
            .withJit(JitOptions.of(JitMode.REGIONS))
            .withDevices(all);
    GuestShell shell = new GuestShell(host.add(VmSpec.of(name, configuration, request)));
    shell.boot();
    return shell;
  }
}
