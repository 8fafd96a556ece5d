package memvisor.app.cli.host.config;

import java.io.IOException;
import java.io.StringReader;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import memvisor.app.cli.CommandFailure;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.dataformat.yaml.YAMLFactory;
import tools.jackson.dataformat.yaml.YAMLParser;

/** Reads a YAML document into nodes that know their lines. */
final class ConfigFile {
  private static final long LARGEST_BYTES = 1 << 20;
  private static final int DEEPEST = 16;

  private final Path path;

  private ConfigFile(Path path) {
    this.path = path;
  }

  /** The document in {@code path}. */
  static YamlNode read(Path path) {
    ConfigFile file = new ConfigFile(path);
    return file.parse(file.text());
  }

  /** What is wrong in a line. */
  static CommandFailure error(Path path, int line, String sentence) {
    return new CommandFailure(
        "%s, line %d: %s".formatted(path, line, sentence), CommandFailure.USAGE);
  }

  private CommandFailure error(int line, String sentence) {
    return error(path, line, sentence);
  }

  private String text() {
    try {
      if (Files.isDirectory(path) || Files.size(path) > LARGEST_BYTES) {
        throw new CommandFailure(
            path + " is no description of a host; name a YAML file of at most 1 MiB",
            CommandFailure.USAGE);
      }
      return Files.readString(path);
    } catch (NoSuchFileException missing) {
      throw new CommandFailure(
          "there is no file %s; memvisor host --help shows what to write into one".formatted(path),
          CommandFailure.USAGE);
    } catch (CharacterCodingException binary) {
      throw new CommandFailure(
          path + " is not text in UTF-8; name a YAML file", CommandFailure.USAGE);
    } catch (IOException failure) {
      throw new CommandFailure(
          "%s cannot be read: %s".formatted(path, failure.getMessage()), CommandFailure.USAGE);
    }
  }

  private YamlNode parse(String text) {
    try (YAMLParser parser =
        (YAMLParser)
            new YAMLFactory().createParser(ObjectReadContext.empty(), new StringReader(text))) {
      if (parser.nextToken() == null) {
        throw error(1, "the file is empty; begin with memory: 1G and a list of vms");
      }
      YamlNode node = node(parser, 0);
      if (parser.nextToken() != null) {
        throw error(line(parser), "one document is enough: nothing may follow it");
      }
      return node;
    } catch (JacksonException broken) {
      throw error(
          Math.max(1, broken.getLocation().getLineNr()),
          "this is not YAML: " + firstLine(broken.getOriginalMessage()));
    }
  }

  private static String firstLine(String message) {
    return message
        .lines()
        .map(String::strip)
        .filter(line -> !line.isEmpty())
        .findFirst()
        .orElse("");
  }

  private static int line(YAMLParser parser) {
    return parser.currentTokenLocation().getLineNr();
  }

  private YamlNode node(YAMLParser parser, int depth) {
    int line = line(parser);
    if (depth > DEEPEST) {
      throw error(line, "nothing is nested that deep here");
    }
    if (parser.isCurrentAlias()) {
      throw error(line, "aliases (*name) are not followed; put what VMs share under defaults:");
    }
    JsonToken token = parser.currentToken();
    return switch (token) {
      case START_OBJECT -> mapping(parser, line, depth);
      case START_ARRAY -> sequence(parser, line, depth);
      case VALUE_NULL -> new YamlNode.Scalar(line, "");
      default -> new YamlNode.Scalar(line, parser.getString());
    };
  }

  private YamlNode mapping(YAMLParser parser, int line, int depth) {
    Map<String, YamlNode.Entry> entries = new LinkedHashMap<>();
    while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
      String key = parser.currentName();
      int keyLine = line(parser);
      parser.nextToken();
      YamlNode.Entry before =
          entries.put(key, new YamlNode.Entry(keyLine, node(parser, depth + 1)));
      if (before != null) {
        throw error(keyLine, "%s stands in line %d already".formatted(key, before.keyLine()));
      }
    }
    return new YamlNode.Mapping(line, entries);
  }

  private YamlNode sequence(YAMLParser parser, int line, int depth) {
    List<YamlNode> items = new ArrayList<>();
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      items.add(node(parser, depth + 1));
    }
    return new YamlNode.Sequence(line, items);
  }
}
