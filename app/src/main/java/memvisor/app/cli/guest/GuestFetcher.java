package memvisor.app.cli.guest;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import memvisor.app.cli.CommandFailure;
import memvisor.app.cli.Progress;

/** Gets a Linux guest into a directory, or keeps the one that is there. */
public final class GuestFetcher {
  private static final String KERNEL_METAPACKAGE = "linux-image-cloud-amd64";
  private static final String BUSYBOX_PACKAGE = "busybox-static";

  private final Path directory;
  private final Progress progress;

  /** A fetcher into {@code directory}, which need not exist. */
  public GuestFetcher(Path directory, Progress progress) {
    this.directory = directory;
    this.progress = progress;
  }

  /**
   * Fetches what is missing.
   *
   * @param again fetch anew whatever is there
   * @throws IOException if the directory cannot be written
   */
  public FetchedGuest fetch(boolean again) throws IOException {
    Path releaseFile = FetchedGuest.releaseFile(directory);
    if (!again && Files.isReadable(releaseFile)) {
      FetchedGuest present = new FetchedGuest(directory, Files.readString(releaseFile).strip());
      if (present.isWhole()) {
        progress.step("The guest is there already; --again fetches a newer one.");
        return present;
      }
    }
    Files.createDirectories(directory.resolve("modules"));
    Files.deleteIfExists(releaseFile);
    PrivateApt apt = PrivateApt.create(directory.resolve("apt"));
    progress.step("Reading Debian's package lists ...");
    apt.update();
    String kernelPackage = kernelPackage(apt);
    Path kernelDeb = apt.download(kernelPackage, progress);
    Path busyboxDeb = apt.download(BUSYBOX_PACKAGE, progress);
    progress.step("Unpacking ...");
    String release = kernelPackage.substring("linux-image-".length());
    FetchedGuest guest = new FetchedGuest(directory, release);
    unpackKernel(guest, kernelDeb);
    unpackBusybox(busyboxDeb);
    new Initramfs(FetchedGuest.busybox(directory)).write(guest.initrd());
    Files.writeString(releaseFile, release + "\n");
    apt.discard();
    return guest;
  }

  /** The package behind the metapackage, which names the newest kernel's. */
  private static String kernelPackage(PrivateApt apt) {
    List<String> dependencies = apt.dependencies(KERNEL_METAPACKAGE);
    return dependencies.stream()
        .filter(name -> name.startsWith("linux-image-"))
        .findFirst()
        .orElseThrow(
            () ->
                new CommandFailure(
                    "apt knows no "
                        + KERNEL_METAPACKAGE
                        + ": the sources in /etc/apt are not a whole Debian; add Debian's main"
                        + " archive there, or bring a kernel to memvisor run --kernel."));
  }

  private static void unpackKernel(FetchedGuest guest, Path deb) throws IOException {
    String image = "boot/vmlinuz-" + guest.release();
    String modules = "lib/modules/" + guest.release() + "/kernel/";
    DebPackage.unpack(
        deb,
        name -> {
          if (name.equals(image)) {
            return Optional.of(guest.kernel());
          }
          return Optional.of(name)
              .filter(path -> path.startsWith(modules) && GuestModules.isWanted(path))
              .map(path -> guest.modules().resolve(GuestModules.fileName(path)));
        });
    if (!Files.exists(guest.kernel())) {
      throw new CommandFailure(deb.getFileName() + " holds no " + image + ".");
    }
  }

  private void unpackBusybox(Path deb) throws IOException {
    Path target = FetchedGuest.busybox(directory);
    DebPackage.unpack(
        deb,
        name ->
            name.equals("bin/busybox") || name.equals("usr/bin/busybox")
                ? Optional.of(target)
                : Optional.empty());
    if (!Files.exists(target)) {
      throw new CommandFailure(deb.getFileName() + " holds no bin/busybox.");
    }
    if (!target.toFile().setExecutable(true)) {
      throw new CommandFailure("cannot make " + target + " executable.");
    }
  }
}
