package memvisor.bench;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import memvisor.boot.BootRequest;
import memvisor.cpu.jit.JitCounters;
import memvisor.cpu.jit.JitMode;
import memvisor.cpu.jit.JitOptions;
import memvisor.host.HostMemory;
import memvisor.machine.ClockMode;
import memvisor.machine.GuestState;
import memvisor.machine.RunOutcome;
import memvisor.machine.TechniqueKind;
import memvisor.machine.pc.PcConfiguration;
import memvisor.machine.pc.PcMachine;

/**
 * Boots guests of one kernel one after the other in this process, and prints the processor time
 * that each took: all threads, the JVM's compilers included. {@code bench/second-guest} runs it.
 */
public final class SecondGuest {
  private static final long MEMORY_BYTES = 256L << 20;

  /** The outcome of one boot. */
  private record Boot(double cpuSeconds, double wallSeconds, GuestState state, JitCounters jit) {}

  private SecondGuest() {}

  /** Arguments: kernel, initrd, command line, {@code --jit} mode, "shared" or "apart", guests. */
  public static void main(String[] arguments) throws IOException {
    BootRequest request =
        BootRequest.of(Files.readAllBytes(Path.of(arguments[0])))
            .withInitrd(Files.readAllBytes(Path.of(arguments[1])))
            .withCommandLine(arguments[2]);
    JitMode mode = JitMode.valueOf(arguments[3].toUpperCase(Locale.ROOT));
    boolean shared = arguments[4].equals("shared");
    int guests = Integer.parseInt(arguments[5]);
    System.out.printf("guest  cpu s   wall s  of first  translated  adopted  state%n");
    double first = 0;
    try (HostMemory host = HostMemory.create(2 * MEMORY_BYTES)) {
      for (int n = 1; n <= guests; n++) {
        Boot boot = boot(host, request, mode, shared);
        first = n == 1 ? boot.cpuSeconds() : first;
        System.out.printf(
            "%5d %6.2f  %6.2f  %8.3f  %10d  %7d  %d instructions, registers %016x, RAM %.16s%n",
            n,
            boot.cpuSeconds(),
            boot.wallSeconds(),
            boot.cpuSeconds() / first,
            boot.jit().blocks() + boot.jit().regions(),
            boot.jit().adoptions(),
            boot.state().instructions(),
            boot.state().registersHash(),
            boot.state().ramSha256());
      }
    }
  }

  private static Boot boot(HostMemory host, BootRequest request, JitMode mode, boolean shared) {
    PcConfiguration configuration =
        PcConfiguration.of(MEMORY_BYTES, TechniqueKind.NESTED, ClockMode.VIRTUAL)
            .withJit(JitOptions.of(mode));
    try (PcMachine machine = new PcMachine(configuration, host, b -> {}, b -> {})) {
      if (shared) {
        machine.memory().joinTrustDomain("bench");
      }
      machine.boot(request);
      long cpu = cpuNanos();
      long wall = System.nanoTime();
      RunOutcome outcome = machine.run(Long.MAX_VALUE, Long.MAX_VALUE);
      double cpuSeconds = (cpuNanos() - cpu) / 1e9;
      double wallSeconds = (System.nanoTime() - wall) / 1e9;
      if (!(outcome instanceof RunOutcome.PoweredOff)) {
        throw new IllegalStateException("the guest did not power off: " + outcome);
      }
      return new Boot(cpuSeconds, wallSeconds, machine.state(), machine.translations());
    }
  }

  private static long cpuNanos() {
    return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
        .getProcessCpuTime();
  }
}
