package memvisor.app.cli.host.config;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import memvisor.app.cli.CommandFailure;
import memvisor.app.cli.Quantities;
import picocli.CommandLine.TypeConversionException;

/**
 * A group of keys and the values a reader asks it for. It remembers what it was asked, so that in
 * the end whatever nobody asked for can be pointed out.
 */
final class Section {
  private final Path file;
  private final YamlNode.Mapping mapping;
  private final Optional<Section> defaults;
  private final Set<String> known = new LinkedHashSet<>();

  private Section(Path file, YamlNode.Mapping mapping, Optional<Section> defaults) {
    this.file = file;
    this.mapping = mapping;
    this.defaults = defaults;
  }

  /** The group that {@code node} is; {@code what} names it in a complaint if it is none. */
  static Section of(Path file, YamlNode node, String what) {
    if (node instanceof YamlNode.Mapping mapping) {
      return new Section(file, mapping, Optional.empty());
    }
    throw ConfigFile.error(
        file, node.line(), "%s is a group of keys, not %s".formatted(what, node.kind()));
  }

  /** The same, which for keys it does not have answers as {@code others} does. */
  Section or(Section others) {
    return new Section(file, mapping, Optional.of(others));
  }

  int line() {
    return mapping.line();
  }

  /** A complaint about the line of a key; about the group itself where it is not there. */
  CommandFailure error(String key, String sentence) {
    return ConfigFile.error(file, find(key).map(YamlNode.Entry::keyLine).orElse(line()), sentence);
  }

  private Optional<YamlNode.Entry> find(String key) {
    known.add(key);
    Optional<YamlNode.Entry> other = defaults.flatMap(section -> section.find(key));
    return Optional.ofNullable(mapping.entries().get(key)).or(() -> other);
  }

  boolean has(String key) {
    return find(key).isPresent();
  }

  /** Text as it was written. */
  Optional<String> text(String key) {
    Optional<YamlNode.Entry> entry = find(key);
    if (entry.isEmpty()) {
      return Optional.empty();
    }
    YamlNode value = entry.get().value();
    if (value instanceof YamlNode.Scalar scalar && !scalar.text().isEmpty()) {
      return Optional.of(scalar.text());
    }
    throw error(key, "%s is one value, not %s".formatted(key, value.kind()));
  }

  /** Bytes, written like 256M. */
  Optional<Long> size(String key) {
    Quantities.SizeConverter sizes = new Quantities.SizeConverter();
    return text(key).map(text -> convert(key, text, sizes::convert));
  }

  /** What {@code conversion} makes of the text; its complaints get the line. */
  <T> Optional<T> converted(String key, Function<String, T> conversion) {
    return text(key).map(text -> convert(key, text, conversion));
  }

  private <T> T convert(String key, String text, Function<String, T> conversion) {
    try {
      return conversion.apply(text);
    } catch (TypeConversionException | IllegalArgumentException wrong) {
      throw error(key, "%s: %s".formatted(key, wrong.getMessage()));
    }
  }

  /** A whole number between {@code least} and {@code most}. */
  Optional<Long> number(String key, long least, long most) {
    return text(key)
        .map(
            text -> {
              long number;
              try {
                number = Long.parseLong(text.replace("_", ""));
              } catch (NumberFormatException none) {
                throw error(key, "%s is a whole number, not '%s'".formatted(key, text));
              }
              if (number < least || number > most) {
                throw error(key, "%s is %d to %d, not %d".formatted(key, least, most, number));
              }
              return number;
            });
  }

  /** Yes or no. */
  Optional<Boolean> flag(String key) {
    return text(key).map(text -> convert(key, text, Section::flagOf));
  }

  static boolean flagOf(String text) {
    return switch (text.toLowerCase(Locale.ROOT)) {
      case "true", "yes", "on" -> true;
      case "false", "no", "off" -> false;
      default -> throw new IllegalArgumentException("say true or false, not '" + text + "'");
    };
  }

  /** Whether the value of a key is a group of its own. */
  boolean isSection(String key) {
    return find(key).filter(entry -> entry.value() instanceof YamlNode.Mapping).isPresent();
  }

  /** A group below this one. */
  Optional<Section> section(String key) {
    return find(key).map(entry -> of(file, entry.value(), key));
  }

  /** The values of a list. */
  List<YamlNode> list(String key) {
    Optional<YamlNode.Entry> entry = find(key);
    if (entry.isEmpty()) {
      return List.of();
    }
    if (entry.get().value() instanceof YamlNode.Sequence sequence) {
      return sequence.items();
    }
    throw error(
        key,
        "%s is a list, each item behind a '-', not %s".formatted(key, entry.get().value().kind()));
  }

  /** Complains about the first key that nobody asked for. */
  void rejectUnknown(String what) {
    for (String key : mapping.entries().keySet()) {
      if (!known.contains(key)) {
        throw error(
            key,
            "%s has no key '%s'; it has %s".formatted(what, key, String.join(", ", sorted(known))));
      }
    }
  }

  private static List<String> sorted(Set<String> words) {
    List<String> list = new ArrayList<>(words);
    list.sort(null);
    return list;
  }
}
