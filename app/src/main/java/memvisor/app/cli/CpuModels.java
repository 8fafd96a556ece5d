package memvisor.app.cli;

import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;
import memvisor.cpu.x86.CpuFeature;
import memvisor.cpu.x86.CpuModel;

/** Processors as users name them: a model with features added or removed, like atom,-pcid,+la57. */
public final class CpuModels {
  private CpuModels() {}

  /**
   * Reads a model's name and its changes.
   *
   * @throws IllegalArgumentException with a sentence for the user that begins with a verb
   */
  public static CpuModel parse(String cpu) {
    String[] parts = cpu.split(",", -1);
    CpuModel model =
        switch (parts[0].toLowerCase(Locale.ROOT)) {
          case "atom" -> CpuModel.atom();
          case "vulnerable" -> CpuModel.vulnerable();
          default ->
              throw new IllegalArgumentException(
                  "knows the models atom and vulnerable, not '" + parts[0] + "'");
        };
    for (String change : Arrays.asList(parts).subList(1, parts.length)) {
      model = change(model, change);
    }
    return model;
  }

  private static CpuModel change(CpuModel model, String change) {
    if (change.startsWith("+")) {
      return model.with(feature(change.substring(1)));
    }
    if (change.startsWith("-")) {
      return model.without(feature(change.substring(1)));
    }
    throw new IllegalArgumentException(
        "takes a feature with + or - before it, like -pcid, not '" + change + "'");
  }

  private static CpuFeature feature(String word) {
    return Arrays.stream(CpuFeature.values())
        .filter(feature -> feature != CpuFeature.MMX)
        .filter(feature -> feature.name().equalsIgnoreCase(word))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "knows no feature '" + word + "'; it knows " + knownFeatures()));
  }

  private static String knownFeatures() {
    return Arrays.stream(CpuFeature.values())
        // MMX is in the table, but no instruction of it works: it cannot be claimed.
        .filter(feature -> feature != CpuFeature.MMX)
        .map(feature -> feature.name().toLowerCase(Locale.ROOT))
        .sorted()
        .collect(Collectors.joining(", "));
  }
}
