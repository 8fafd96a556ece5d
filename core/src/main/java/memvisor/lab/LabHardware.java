package memvisor.lab;

import java.util.function.UnaryOperator;
import memvisor.device.ByteSink;
import memvisor.host.HostMemory;
import memvisor.machine.ClockMode;
import memvisor.machine.TechniqueKind;
import memvisor.machine.VirtualMachine;
import memvisor.machine.pc.PcConfiguration;
import memvisor.machine.pc.PcMachine;
import memvisor.machine.xen.XenConfiguration;
import memvisor.machine.xen.XenMachine;
import memvisor.tlb.TlbConfiguration;

/**
 * What the machines of an experiment are made of, so that all techniques get the same.
 *
 * @param pc changes the configuration of a PC
 * @param domain changes the configuration of a domain
 */
public record LabHardware(
    UnaryOperator<PcConfiguration> pc, UnaryOperator<XenConfiguration> domain) {
  /** Machines with defaults for everything but the TLB. */
  public static LabHardware of(TlbConfiguration tlb) {
    return new LabHardware(pc -> pc.withTlb(tlb), domain -> domain.withTlb(tlb));
  }

  /** A machine whose time is virtual, so that its runs repeat. */
  VirtualMachine machine(
      TechniqueKind technique,
      long memoryBytes,
      HostMemory host,
      ByteSink console,
      ByteSink debugConsole) {
    return technique.isParavirtual()
        ? new XenMachine(
            domain.apply(XenConfiguration.of(memoryBytes, ClockMode.VIRTUAL)),
            host,
            console,
            debugConsole)
        : new PcMachine(
            pc.apply(PcConfiguration.of(memoryBytes, technique, ClockMode.VIRTUAL)),
            host,
            console,
            debugConsole);
  }
}
