package memvisor.app.cli.monitor;

import java.util.Locale;
import java.util.Map;
import memvisor.cpu.x86.RegisterFile;
import memvisor.cpu.x86.RegisterName;

/**
 * An address as it is typed: numbers (decimal, {@code 0x} hexadecimal), registers ({@code $rip}),
 * sums, differences and parentheses. Arithmetic wraps at 64 bits.
 */
final class Expression {
  private static final Map<String, RegisterName> ALIASES =
      Map.of(
          "PC", RegisterName.RIP,
          "SP", RegisterName.RSP,
          "FP", RegisterName.RBP,
          "EFLAGS", RegisterName.RFLAGS);

  /** Deeper parentheses are refused, so that hostile input cannot exhaust the stack. */
  private static final int DEEPEST = 32;

  private final String text;
  private final RegisterFile registers;
  private int at;
  private int depth;

  private Expression(String text, RegisterFile registers) {
    this.text = text;
    this.registers = registers;
  }

  /** Evaluates {@code text}. */
  static long evaluate(String text, RegisterFile registers) {
    Expression expression = new Expression(text, registers);
    long value = expression.sum();
    if (expression.at < text.length()) {
      throw expression.unexpected();
    }
    return value;
  }

  private long sum() {
    long value = term();
    while (at < text.length() && (peek() == '+' || peek() == '-')) {
      value = text.charAt(at++) == '+' ? value + term() : value - term();
    }
    return value;
  }

  private long term() {
    if (at >= text.length()) {
      throw new MonitorError("unexpected end of expression");
    }
    char first = peek();
    if (first == '-' || first == '(') {
      if (++depth > DEEPEST) {
        throw new MonitorError("the expression is nested too deeply");
      }
      at++;
      long value = first == '-' ? -term() : parenthesis();
      depth--;
      return value;
    }
    if (first == '$') {
      at++;
      return register(word());
    }
    return number();
  }

  private long parenthesis() {
    long value = sum();
    if (at >= text.length() || text.charAt(at++) != ')') {
      throw new MonitorError("')' expected");
    }
    return value;
  }

  private long register(String name) {
    String upper = name.toUpperCase(Locale.ROOT);
    RegisterName alias = ALIASES.get(upper);
    if (alias != null) {
      return registers.get(alias);
    }
    for (RegisterName known : RegisterName.values()) {
      if (known.name().equals(upper)) {
        return registers.get(known);
      }
    }
    throw new MonitorError("unknown register");
  }

  private long number() {
    if (Character.digit(peek(), 10) < 0) {
      throw unexpected();
    }
    String digits = word();
    try {
      return digits.startsWith("0x") || digits.startsWith("0X")
          ? Long.parseUnsignedLong(digits, 2, digits.length(), 16)
          : Long.parseUnsignedLong(digits);
    } catch (NumberFormatException malformed) {
      throw new MonitorError("'" + digits + "' is not a number of at most 64 bits");
    }
  }

  private String word() {
    int start = at;
    while (at < text.length() && (Character.isLetterOrDigit(peek()) || peek() == '_')) {
      at++;
    }
    return text.substring(start, at);
  }

  private char peek() {
    return text.charAt(at);
  }

  private MonitorError unexpected() {
    return new MonitorError("invalid char '" + peek() + "' in expression");
  }
}
