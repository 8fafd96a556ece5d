package memvisor.app.cli.host.config;

import java.util.List;
import java.util.Map;

/** A part of a YAML document that knows the line it begins on, counted from 1. */
sealed interface YamlNode {
  /** Where it begins. */
  int line();

  /** A word, a number, a truth value: whatever was written. */
  record Scalar(int line, String text) implements YamlNode {}

  /** A list. */
  record Sequence(int line, List<YamlNode> items) implements YamlNode {}

  /** Keys and values, in the order of the document. */
  record Mapping(int line, Map<String, Entry> entries) implements YamlNode {}

  /**
   * A value and the line of its key.
   *
   * @param keyLine where the key stands
   * @param value what follows it
   */
  record Entry(int keyLine, YamlNode value) {}

  /** What it is, for a sentence. */
  default String kind() {
    return switch (this) {
      case Scalar scalar -> scalar.text().isEmpty() ? "nothing" : "'" + scalar.text() + "'";
      case Sequence sequence -> "a list";
      case Mapping mapping -> "a group of keys";
    };
  }
}
