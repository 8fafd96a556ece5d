package memvisor.app.cli.monitor;

import java.util.List;
import java.util.concurrent.CompletableFuture;
import memvisor.boot.BootRequest;
import memvisor.host.HostMemory;
import memvisor.lab.Workload;
import memvisor.lab.WorkloadParameters;
import memvisor.lab.guest.BuiltinGuest;
import memvisor.machine.ClockMode;
import memvisor.machine.RunOutcome;
import memvisor.machine.TechniqueKind;
import memvisor.machine.VirtualMachine;
import memvisor.machine.pc.PcConfiguration;
import memvisor.machine.pc.PcMachine;
import memvisor.machine.pc.VirtioSpec;
import memvisor.machine.xen.XenConfiguration;
import memvisor.machine.xen.XenMachine;

/** The built-in guest with a long work, run by a thread of its own. */
final class MonitoredMachine implements AutoCloseable {
  private static final long MEMORY_BYTES = 64L << 20;
  private static final WorkloadParameters ENDLESS = new WorkloadParameters(64, 1L << 40, 1);

  final VirtualMachine machine;
  final MonitorPrompt prompt;
  final CompletableFuture<RunOutcome> run;
  private final HostMemory host = HostMemory.create(2 * MEMORY_BYTES);

  MonitoredMachine(TechniqueKind technique) {
    machine = technique.isParavirtual() ? domain() : pc(technique);
    machine.boot(
        BootRequest.of(
            technique.isParavirtual()
                ? BuiltinGuest.paravirtualImage(Workload.RANDOM_UPDATE, ENDLESS)
                : BuiltinGuest.image(Workload.RANDOM_UPDATE, ENDLESS)));
    prompt = new MonitorPrompt(machine);
    run = new CompletableFuture<>();
    Thread.ofPlatform()
        .daemon()
        .start(() -> run.complete(machine.run(Long.MAX_VALUE, Long.MAX_VALUE)));
    while (machine.atBoundary(machine::instructions) < 1_000_000) {
      Thread.onSpinWait();
    }
  }

  private VirtualMachine domain() {
    return new XenMachine(
        XenConfiguration.of(MEMORY_BYTES, ClockMode.VIRTUAL), host, b -> {}, b -> {});
  }

  private VirtualMachine pc(TechniqueKind technique) {
    return new PcMachine(
        PcConfiguration.of(MEMORY_BYTES, technique, ClockMode.VIRTUAL)
            .withDevices(
                technique == TechniqueKind.PARTITION
                    ? List.of()
                    : List.of(new VirtioSpec.Balloon(true, true))),
        host,
        b -> {},
        b -> {});
  }

  String execute(String line) {
    return prompt.execute(line).text();
  }

  @Override
  public void close() {
    machine.stop();
    run.join();
    machine.close();
    host.close();
  }
}
