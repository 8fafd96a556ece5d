package memvisor.app.cli.host;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * One line from a user of the control socket: {@code {"command":"pause","vm":"web"}}.
 *
 * @param command what is to be done
 * @param vm which VM, where the command is about one
 * @param numbers further fields that are numbers
 */
record Request(String command, Optional<String> vm, Map<String, Long> numbers) {
  /** Bytes that a balloon is to leave to its guest. */
  static final String BYTES = "bytes";

  /** An address to explain. */
  static final String ADDRESS = "address";

  /** Seconds that a guest has to heed its power button. */
  static final String GRACE_SECONDS = "graceSeconds";

  private static final String COMMAND = "command";
  private static final String VM = "vm";
  private static final List<String> NUMBERS = List.of(BYTES, ADDRESS, GRACE_SECONDS);
  private static final JsonMapper MAPPER =
      JsonMapper.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build();

  static Request of(String command) {
    return new Request(command, Optional.empty(), Map.of());
  }

  static Request of(String command, String vm) {
    return new Request(command, Optional.of(vm), Map.of());
  }

  Request with(String field, long number) {
    Map<String, Long> more = new TreeMap<>(numbers);
    more.put(field, number);
    return new Request(command, vm, more);
  }

  OptionalLong number(String field) {
    Long value = numbers.get(field);
    return value == null ? OptionalLong.empty() : OptionalLong.of(value);
  }

  /** The line, without its end. */
  String toLine() {
    Map<String, Object> fields = new TreeMap<>(numbers);
    fields.put(COMMAND, command);
    vm.ifPresent(name -> fields.put(VM, name));
    return MAPPER.writeValueAsString(fields);
  }

  /**
   * Reads a line from whoever may send one.
   *
   * @throws IllegalArgumentException with a sentence for the sender
   */
  static Request parse(String line) {
    JsonNode root;
    try {
      root = MAPPER.readTree(line);
    } catch (JacksonException | StackOverflowError broken) {
      throw new IllegalArgumentException(
          "a request is one line of JSON, like {\"command\":\"ps\"}");
    }
    if (root == null || !root.isObject()) {
      throw new IllegalArgumentException("a request is a JSON object, like {\"command\":\"ps\"}");
    }
    Optional<String> command = Optional.empty();
    Optional<String> vm = Optional.empty();
    Map<String, Long> numbers = new TreeMap<>();
    for (Map.Entry<String, JsonNode> field : root.properties()) {
      JsonNode value = field.getValue();
      switch (field.getKey()) {
        case COMMAND -> command = Optional.of(text(COMMAND, value));
        case VM -> vm = Optional.of(text(VM, value));
        default -> {
          if (!NUMBERS.contains(field.getKey())) {
            throw new IllegalArgumentException(
                "a request has no field '%s'; it has command, vm, %s"
                    .formatted(shortened(field.getKey()), String.join(", ", NUMBERS)));
          }
          if (!value.isIntegralNumber() || !value.canConvertToLong()) {
            throw new IllegalArgumentException(field.getKey() + " is a whole number of 64 bits");
          }
          numbers.put(field.getKey(), value.longValue());
        }
      }
    }
    return new Request(
        command.orElseThrow(
            () -> new IllegalArgumentException("a request says what to do: {\"command\":\"ps\"}")),
        vm,
        numbers);
  }

  private static String text(String field, JsonNode value) {
    if (!value.isString()) {
      throw new IllegalArgumentException(field + " is a string");
    }
    return value.stringValue();
  }

  /** What a stranger sent, in a form that may be shown. */
  static String shortened(String text) {
    String printable = text.replaceAll("[^\\x20-\\x7e]", "?");
    return printable.length() > 40 ? printable.substring(0, 40) + "..." : printable;
  }
}
