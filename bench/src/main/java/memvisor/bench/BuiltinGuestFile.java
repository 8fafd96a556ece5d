package memvisor.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import memvisor.lab.Workload;
import memvisor.lab.WorkloadParameters;
import memvisor.lab.guest.BuiltinGuest;

/**
 * Writes the built-in guest as a kernel file that other monitors boot too (QEMU's {@code -kernel},
 * by its PVH entry): arguments are a workload's name, a file, and by how much to multiply the
 * workload's iterations.
 */
public final class BuiltinGuestFile {
  private BuiltinGuestFile() {}

  /** Writes one image. */
  public static void main(String[] arguments) throws IOException {
    if (arguments.length != 3) {
      throw new IllegalArgumentException("give WORKLOAD FILE FACTOR");
    }
    Workload workload =
        Arrays.stream(Workload.values())
            .filter(candidate -> candidate.label().equals(arguments[0]))
            .findFirst()
            .orElseThrow(() -> new IllegalArgumentException("no workload " + arguments[0]));
    WorkloadParameters parameters = workload.defaults();
    parameters =
        new WorkloadParameters(
            parameters.pages(),
            parameters.iterations() * Integer.parseInt(arguments[2]),
            parameters.spaces());
    Files.write(Path.of(arguments[1]), BuiltinGuest.image(workload, parameters));
  }
}
