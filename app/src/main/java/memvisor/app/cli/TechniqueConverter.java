package memvisor.app.cli;

import java.util.Arrays;
import java.util.stream.Collectors;
import memvisor.machine.TechniqueKind;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Reads a technique's word. */
public final class TechniqueConverter implements ITypeConverter<TechniqueKind> {
  @Override
  public TechniqueKind convert(String text) {
    for (TechniqueKind technique : TechniqueKind.values()) {
      if (technique.word().equalsIgnoreCase(text)) {
        return technique;
      }
    }
    throw new TypeConversionException(
        "there is no technique '%s'; there are %s"
            .formatted(
                text,
                Arrays.stream(TechniqueKind.values())
                    .map(TechniqueKind::word)
                    .collect(Collectors.joining(", "))));
  }
}
