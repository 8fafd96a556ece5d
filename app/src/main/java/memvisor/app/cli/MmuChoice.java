package memvisor.app.cli;

import java.util.Optional;
import memvisor.machine.TechniqueKind;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * What {@code --mmu} names: a technique for an unmodified guest, or direct paging (empty), whose
 * guest is paravirtual and has another machine around it.
 */
record MmuChoice(Optional<TechniqueKind> technique) {
  private static final String DIRECT = "direct";

  /** The word on the command line. */
  String word() {
    return technique.map(TechniqueKind::word).orElse(DIRECT);
  }

  /** Reads the option. */
  static final class Converter implements ITypeConverter<MmuChoice> {
    private final TechniqueConverter techniques = new TechniqueConverter();

    @Override
    public MmuChoice convert(String text) {
      if (text.equalsIgnoreCase(DIRECT)) {
        return new MmuChoice(Optional.empty());
      }
      try {
        return new MmuChoice(Optional.of(techniques.convert(text)));
      } catch (TypeConversionException unknown) {
        throw new TypeConversionException(unknown.getMessage() + ", " + DIRECT);
      }
    }
  }
}
