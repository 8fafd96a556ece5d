package memvisor.app.cli.host;

import java.util.List;
import memvisor.address.GuestVirtualAddress;
import memvisor.machine.fleet.Vm;
import memvisor.machine.inspect.Explanation;
import memvisor.machine.inspect.Inspector;

/**
 * All about one linear address of a VM: the answer to {@code explain}.
 *
 * @param vm its name
 * @param gva the address
 * @param gpa where it leads, in hexadecimal; empty if nowhere
 * @param conclusions what follows, in sentences
 * @param text everything, as lines
 */
record ExplainView(String vm, String gva, String gpa, List<String> conclusions, List<String> text) {
  static ExplainView of(Vm vm, long gva) {
    return vm.inspect(
        machine -> {
          Explanation explanation = new Inspector(machine).explain(new GuestVirtualAddress(gva));
          return new ExplainView(
              vm.name(),
              "0x" + Long.toHexString(gva),
              explanation
                  .page()
                  .map(page -> "0x" + Long.toHexString(page.gpa().value()))
                  .orElse(""),
              explanation.conclusions(),
              explanation.toString().lines().toList());
        });
  }

  String wholeText() {
    return String.join("\n", text) + "\n";
  }
}
