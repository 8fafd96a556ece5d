package memvisor.app.cli.monitor;

import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.ToLongFunction;
import memvisor.address.GuestPhysicalAddress;
import memvisor.address.GuestVirtualAddress;
import memvisor.cpu.x86.RegisterFile;
import memvisor.machine.MachineEndedException;
import memvisor.machine.VirtualMachine;
import memvisor.machine.inspect.FlatView;
import memvisor.machine.inspect.Inspector;
import memvisor.machine.inspect.PhysicalPage;
import memvisor.machine.pc.PcBalloon;
import memvisor.machine.pc.PcMachine;

/**
 * Executes the monitor's commands on one machine, each at a block boundary. The listings and
 * answers are worded as QEMU's monitor words them.
 *
 * <p>May be used from several threads at once.
 */
public final class MonitorPrompt {
  /** What a user sees before typing. */
  public static final String TEXT = "(memvisor) ";

  /** Longer answers are cut: only tables built to be endless give them. */
  private static final int LONGEST_REPLY = 64 << 20;

  private static final String NO_BALLOON = "Error: No balloon device has been activated\n";

  private static final String NO_BUTTON =
      "Error: a paravirtual domain has no power button; power it off from its console\n";

  private final VirtualMachine machine;
  private final Inspector inspector;
  private final List<Command> commands =
      List.of(
          new Command("help", "[command]", "list the commands, or describe one", this::help),
          new Command("info", "topic", "show one of: " + topics(), this::info),
          new Command(
              "gva2gpa",
              "addr",
              "print the guest physical address corresponding to a guest virtual address",
              this::gva2gpa),
          new Command(
              "gpa2hva",
              "addr",
              "print the host virtual address corresponding to a guest physical address",
              this::gpa2hva),
          new Command(
              "gpa2hpa",
              "addr",
              "print the host physical address corresponding to a guest physical address",
              this::gpa2hpa),
          new Command(
              "explain",
              "addr | gpa addr | --code addr",
              "tell all about a guest virtual (or physical) address: walk, caches, tables, frame",
              this::explain),
          new Command(
              "code",
              "addr",
              "show the code at a guest virtual address: instructions, micro-operations, bytecode",
              this::code),
          new Command(
              "x", "/fmt addr", "virtual memory dump starting at 'addr'", a -> dump(a, false)),
          new Command(
              "xp", "/fmt addr", "physical memory dump starting at 'addr'", a -> dump(a, true)),
          new Command("stats", "", "show what was counted: exits, TLBs, technique", this::stats),
          new Command("ledger", "", "show the host frames of this VM by use", this::ledger),
          new Command(
              "balloon",
              "target",
              "request VM to change its memory allocation (in MB)",
              this::balloon),
          new Command("stop", "", "stop the guest, and its clock", this::stop),
          new Command("cont", "", "let the guest go on", this::cont),
          new Command("system_powerdown", "", "press the power button", this::powerButton),
          new Command("quit", "", "end the run", this::quit));

  /**
   * What a command answers.
   *
   * @param text whole lines, or nothing
   * @param ends whether the run has been told to end
   */
  public record Reply(String text, boolean ends) {}

  /** One command: its name, its arguments and purpose for the help, and what it does. */
  private record Command(String name, String arguments, String purpose, Action action) {
    String help() {
      return name + (arguments.isEmpty() ? "" : " " + arguments) + " -- " + purpose + "\n";
    }
  }

  /** Does a command; its arguments are the rest of the line. */
  private interface Action {
    String execute(String arguments);
  }

  /** A prompt for {@code machine}. */
  public MonitorPrompt(VirtualMachine machine) {
    this.machine = machine;
    inspector = new Inspector(machine);
  }

  /** Executes one line; errors are part of the reply. */
  public Reply execute(String line) {
    String stripped = line.strip();
    if (stripped.isEmpty()) {
      return new Reply("", false);
    }
    // "x/4x addr" is "x /4x addr".
    int nameEnd = 0;
    while (nameEnd < stripped.length() && isNamePart(stripped.charAt(nameEnd))) {
      nameEnd++;
    }
    String name = stripped.substring(0, nameEnd);
    Optional<Command> command = find(name.equals("?") ? "help" : name.equals("q") ? "quit" : name);
    if (command.isEmpty()) {
      return new Reply(unknown(stripped.split("\\s+", 2)[0]), false);
    }
    try {
      String text = command.get().action().execute(stripped.substring(nameEnd).strip());
      return new Reply(text, command.get().name().equals("quit"));
    } catch (MachineEndedException ended) {
      return new Reply(ended.getMessage() + "\n", true);
    } catch (MonitorError error) {
      String help = "Try \"help %s\" for more information%n".formatted(name);
      return new Reply(error.getMessage() + "\n" + help, false);
    }
  }

  /**
   * The address that an expression means, like {@code $rip+0x10}.
   *
   * @throws IllegalArgumentException if it is none; the message is for the user
   */
  public static long evaluate(String expression, RegisterFile registers) {
    try {
      return Expression.evaluate(expression.replaceAll("\\s", ""), registers);
    } catch (MonitorError mistake) {
      throw new IllegalArgumentException(mistake.getMessage(), mistake);
    }
  }

  private static boolean isNamePart(char c) {
    return c != '/' && !Character.isWhitespace(c);
  }

  private Optional<Command> find(String name) {
    return commands.stream().filter(command -> command.name().equals(name)).findFirst();
  }

  private static String unknown(String command) {
    return "unknown command: '" + command + "'\n";
  }

  private static void requireEmpty(String arguments) {
    if (!arguments.isEmpty()) {
      throw new MonitorError("extraneous characters at the end of line");
    }
  }

  private String help(String arguments) {
    if (!arguments.isEmpty()) {
      return find(arguments).map(Command::help).orElseGet(() -> unknown(arguments));
    }
    StringBuilder out = new StringBuilder();
    commands.forEach(command -> out.append(command.help()));
    return out.toString();
  }

  // ---- info --------------------------------------------------------------------------------

  private static String topics() {
    return "mem, tlb, registers, mtree -f, balloon, status";
  }

  private String info(String arguments) {
    return switch (String.join(" ", arguments.split("\\s+"))) {
      case "tlb" -> listing(inspector::tlb);
      case "mem" -> listing(inspector::mem);
      case "mtree -f" -> listing(inspector::mtree);
      case "mtree" -> throw new MonitorError("only the flat view is kept: info mtree -f");
      case "registers" -> machine.atBoundary(inspector::registers);
      case "balloon" -> balloon();
      case "status" -> "VM status: " + (machine.isPaused() ? "paused" : "running") + "\n";
      case "" -> throw new MonitorError("info shows one of: " + topics());
      default -> unknown("info " + arguments);
    };
  }

  private String listing(Consumer<Consumer<String>> source) {
    StringBuilder out = new StringBuilder();
    machine.atBoundary(
        () -> {
          source.accept(line -> append(out, line));
          return out;
        });
    return out.toString();
  }

  private static void append(StringBuilder out, String line) {
    if (out.length() < LONGEST_REPLY) {
      out.append(line).append('\n');
    }
  }

  // ---- addresses ---------------------------------------------------------------------------

  private long address(String text) {
    if (text.isEmpty()) {
      throw new MonitorError("unexpected end of expression");
    }
    String[] words = text.split("\\s+");
    if (words.length > 1 && !words[1].isEmpty() && !isOperator(words)) {
      throw new MonitorError("extraneous characters at the end of line");
    }
    return Expression.evaluate(String.join("", words), machine.registers());
  }

  /** Blanks may stand around operators, but two operands side by side are two arguments. */
  private static boolean isOperator(String[] words) {
    for (int i = 1; i < words.length; i++) {
      char before = words[i - 1].charAt(words[i - 1].length() - 1);
      char after = words[i].charAt(0);
      if ("+-(".indexOf(before) < 0 && "+-)".indexOf(after) < 0) {
        return false;
      }
    }
    return true;
  }

  private String gva2gpa(String arguments) {
    Optional<GuestPhysicalAddress> gpa =
        machine.atBoundary(() -> inspector.gva2gpa(new GuestVirtualAddress(address(arguments))));
    return gpa.map(found -> "gpa: " + hex(found.value()) + "\n").orElseGet(this::unmapped);
  }

  /** A domain sees pages of the monitor's that are no part of its physical map. */
  private String unmapped() {
    return machine.kind().isParavirtual()
        ? "Unmapped, or not a page of the guest's own\n"
        : "Unmapped\n";
  }

  /** As C's {@code %#lx}: zero has no prefix. */
  private static String hex(long value) {
    return value == 0 ? "0" : "0x" + Long.toHexString(value);
  }

  private String gpa2hva(String arguments) {
    return host(arguments, "virtual", resident -> resident.hva().value());
  }

  private String gpa2hpa(String arguments) {
    return host(arguments, "physical", resident -> resident.hpa().value());
  }

  private String host(String arguments, String space, ToLongFunction<PhysicalPage.Resident> where) {
    PhysicalPage page =
        machine.atBoundary(() -> inspector.page(new GuestPhysicalAddress(address(arguments))));
    String gpa = "0x" + Long.toHexString(page.gpa().value());
    return switch (page) {
      case PhysicalPage.Resident resident ->
          "Host %s address for %s (%s) is 0x%x\n"
              .formatted(
                  space, gpa, FlatView.regionName(resident.region()), where.applyAsLong(resident));
      case PhysicalPage.Untouched untouched ->
          "Memory at address " + gpa + " has not been used and has no host frame yet\n";
      case PhysicalPage.Away away ->
          "Memory at address %s has no host frame now: it is %s\n"
              .formatted(gpa, away.page().state());
      case PhysicalPage.Device device -> "Memory at address " + gpa + " is not RAM\n";
      case PhysicalPage.Nobody nobody -> "No memory is mapped at address " + gpa + "\n";
    };
  }

  private String explain(String arguments) {
    if (arguments.startsWith("--code ")) {
      return code(arguments.substring("--code ".length()).strip());
    }
    boolean physical = arguments.startsWith("gpa ");
    return machine.atBoundary(
        () ->
            physical
                ? inspector
                    .explain(new GuestPhysicalAddress(address(arguments.substring(4).strip())))
                    .toString()
                : inspector.explain(new GuestVirtualAddress(address(arguments))).toString());
  }

  private String code(String arguments) {
    return machine.atBoundary(() -> inspector.code(new GuestVirtualAddress(address(arguments))));
  }

  private String dump(String arguments, boolean physical) {
    String[] parts = arguments.split("\\s+", 2);
    boolean formatted = parts[0].startsWith("/");
    MemoryDump dump = formatted ? MemoryDump.parse(parts[0].substring(1)) : MemoryDump.standard();
    String expression = formatted ? (parts.length > 1 ? parts[1] : "") : arguments;
    return machine.atBoundary(
        () -> {
          long address = address(expression);
          byte[] bytes = new byte[dump.lengthBytes()];
          int readable =
              physical
                  ? inspector.readPhysical(new GuestPhysicalAddress(address), bytes)
                  : inspector.readVirtual(new GuestVirtualAddress(address), bytes);
          return dump.print(address, bytes, readable);
        });
  }

  // ---- what was counted --------------------------------------------------------------------

  private String stats(String arguments) {
    requireEmpty(arguments);
    return machine.atBoundary(() -> MonitorStatistics.counts(machine));
  }

  private String ledger(String arguments) {
    requireEmpty(arguments);
    return machine.atBoundary(() -> MonitorStatistics.frames(machine));
  }

  // ---- balloon -----------------------------------------------------------------------------

  private Optional<PcBalloon> balloonDevice() {
    return machine instanceof PcMachine pc ? pc.balloon() : Optional.empty();
  }

  /** As QEMU counts it: what the balloon leaves of the guest's memory. */
  private String balloon() {
    long memoryBytes = machine.memoryBytes();
    return balloonDevice()
        .map(b -> "balloon: actual=" + (memoryBytes - (b.state().actualPages() << 12) >> 20) + "\n")
        .orElse(NO_BALLOON);
  }

  private String balloon(String arguments) {
    Optional<PcBalloon> balloon = balloonDevice();
    if (balloon.isEmpty()) {
      return NO_BALLOON;
    }
    long memoryBytes = machine.memoryBytes();
    long leftMib = address(arguments);
    if (leftMib <= 0) {
      throw new MonitorError("the target is more than 0 MB");
    }
    long leftBytes = Math.min(leftMib, memoryBytes >> 20) << 20;
    balloon.get().setTargetPages(memoryBytes - leftBytes >>> 12);
    return "";
  }

  // ---- control -----------------------------------------------------------------------------

  private String stop(String arguments) {
    requireEmpty(arguments);
    machine.pause();
    return "";
  }

  private String cont(String arguments) {
    requireEmpty(arguments);
    machine.resume();
    return "";
  }

  private String powerButton(String arguments) {
    requireEmpty(arguments);
    if (!(machine instanceof PcMachine pc)) {
      return NO_BUTTON;
    }
    pc.atBoundary(
        () -> {
          pc.pressPowerButton();
          return "";
        });
    return "";
  }

  private String quit(String arguments) {
    requireEmpty(arguments);
    machine.stop();
    return "";
  }
}
