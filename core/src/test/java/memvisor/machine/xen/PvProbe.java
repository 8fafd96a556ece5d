package memvisor.machine.xen;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import memvisor.cpu.x86.asm.Assembler;

/**
 * One question to the PV interface, whose answers Xen was asked too.
 *
 * @param name the name on the line of results
 * @param ask emits the code that adds results
 */
record PvProbe(String name, Consumer<PvKit> ask) {
  static PvProbe of(String name, Consumer<PvKit> ask) {
    return new PvProbe(name, ask);
  }

  @Override
  public String toString() {
    return name;
  }

  /** Every suite of probes: each is one kernel. */
  static List<List<PvProbe>> suites() {
    return List.of(
        CallProbes.all(),
        TableProbes.all(),
        TrapProbes.all(),
        ModeProbes.all(),
        EventProbes.all(),
        DescriptorProbes.all());
  }

  static List<PvProbe> all() {
    List<PvProbe> all = new ArrayList<>();
    suites().forEach(all::addAll);
    return all;
  }

  /** The kernel that asks the questions of one suite and then ends. */
  static byte[] image(List<PvProbe> suite, int shutdownReason) {
    Assembler a = new Assembler(PvGuest.VIRT_BASE + PvGuest.CODE_GPA);
    a.code64();
    PvKit kit = new PvKit(a);
    kit.installTraps();
    for (PvProbe probe : suite) {
      probe.ask.accept(kit);
      kit.report(probe.name);
    }
    kit.finish(shutdownReason);
    kit.emitRoutines();
    return PvImage.of(a.assemble()).bytes();
  }
}
