package memvisor.app.cli;

import java.io.PrintWriter;
import java.util.Locale;
import memvisor.address.PageSize;
import memvisor.lab.WalkLesson;
import memvisor.lab.WalkShape;
import memvisor.paging.PagingMode;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** {@code memvisor walk}: one page walk as a picture, then reference by reference. */
@Command(
    name = "walk",
    mixinStandardHelpOptions = true,
    description = {
      "Shows how one guest virtual address becomes a host physical one under nested paging: the grid "
          + "of the two-dimensional walk, then every table entry that is read.",
      "A guest's own tables hold guest physical addresses, so each of them must itself be translated "
          + "before it can be read: that is what makes a TLB miss dear under nested paging.",
      "The tables are real ones in the manual's formats, walked by the walker that guests run on."
    },
    footer = {
      "",
      "Examples:",
      "  memvisor walk                              4 levels over 4: 24 references",
      "  memvisor walk --guest-levels 5 --nested-levels 5",
      "  memvisor walk --page 2M --nested-page 1G   what large pages save",
      "  memvisor walk --nested-levels 0            no monitor, or shadow paging",
      "  memvisor walk --caches on                  what the caches leave of it",
    })
final class WalkCommand implements Runnable {
  /** Values of an option that switches something. */
  private enum Setting {
    ON,
    OFF
  }

  @Spec private CommandSpec spec = CommandSpec.create();

  @Option(
      names = "--guest-levels",
      paramLabel = "N",
      defaultValue = "4",
      description = "The guest's format: 4, 5, 3 (PAE) or 2 (32-bit). Default: ${DEFAULT-VALUE}.")
  private int guestLevels;

  @Option(
      names = "--nested-levels",
      paramLabel = "N",
      defaultValue = "4",
      description = "EPT of 4 or 5 levels, or 0 for none. Default: ${DEFAULT-VALUE}.")
  private int nestedLevels;

  @Option(
      names = "--page",
      paramLabel = "SIZE",
      defaultValue = "4K",
      converter = PageSizeConverter.class,
      description = "The page that the guest maps: 4K, 2M, 4M or 1G. Default: ${DEFAULT-VALUE}.")
  private PageSize guestPage = PageSize.SIZE_4K;

  @Option(
      names = "--nested-page",
      paramLabel = "SIZE",
      defaultValue = "4K",
      converter = PageSizeConverter.class,
      description = "The pages that EPT maps: 4K, 2M or 1G. Default: ${DEFAULT-VALUE}.")
  private PageSize nestedPage = PageSize.SIZE_4K;

  @Option(
      names = "--caches",
      paramLabel = "on|off",
      defaultValue = "off",
      description = "Also show the walk with TLBs and caches. Default: ${DEFAULT-VALUE}.")
  private Setting caches = Setting.OFF;

  @Override
  public void run() {
    PrintWriter out = spec.commandLine().getOut();
    try (WalkLesson lesson = new WalkLesson(shape())) {
      WalkPicture picture = new WalkPicture(lesson.shape(), lesson.cold());
      out.print(picture.grid());
      out.println();
      out.print(picture.legend());
      out.println();
      out.print(picture.listing());
      if (caches == Setting.ON) {
        out.println();
        out.print(WalkPicture.describe(lesson.cached()));
      }
      out.flush();
    }
  }

  private WalkShape shape() {
    try {
      PagingMode guest =
          switch (guestLevels) {
            case 2 -> PagingMode.BITS_32;
            case 3 -> PagingMode.PAE;
            case 4 -> PagingMode.LEVELS_4;
            case 5 -> PagingMode.LEVELS_5;
            default ->
                throw new IllegalArgumentException(
                    "--guest-levels is 4, 5, 3 (PAE) or 2 (32-bit), not " + guestLevels);
          };
      return new WalkShape(guest, guestPage, nestedLevels, nestedPage);
    } catch (IllegalArgumentException impossible) {
      throw new ParameterException(
          spec.commandLine(), String.valueOf(impossible.getMessage()), impossible);
    }
  }

  /** Reads a page size. */
  static final class PageSizeConverter implements ITypeConverter<PageSize> {
    @Override
    public PageSize convert(String text) {
      return switch (text.toUpperCase(Locale.ROOT)) {
        case "4K" -> PageSize.SIZE_4K;
        case "2M" -> PageSize.SIZE_2M;
        case "4M" -> PageSize.SIZE_4M;
        case "1G" -> PageSize.SIZE_1G;
        default -> throw new TypeConversionException("give 4K, 2M, 4M or 1G, not '" + text + "'");
      };
    }
  }
}
