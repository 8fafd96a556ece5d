package memvisor.cpu.x86;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.EnumSet;
import java.util.Set;

/**
 * What a processor says of itself by CPUID, and the features that its instructions and control
 * registers obey. Immutable.
 *
 * @param family display family
 * @param model display model
 * @param stepping stepping
 * @param brand brand string, at most 47 characters
 * @param features what is advertised and works
 * @param physicalAddressBits MAXPHYADDR, 36 to 52
 * @param tscHz rate of the time-stamp counter, a multiple of {@code crystalHz}
 * @param crystalHz rate of the crystal that also drives the local APIC timer
 */
public record CpuModel(
    int family,
    int model,
    int stepping,
    String brand,
    Set<CpuFeature> features,
    int physicalAddressBits,
    long tscHz,
    long crystalHz) {
  /** Highest basic and extended leaves. */
  static final int MAX_LEAF = 0x16;

  static final int MAX_EXTENDED_LEAF = 0x8000_0008;

  /** Features that one asks for: what the default leaves out. */
  private static final Set<CpuFeature> OPTIONAL =
      EnumSet.of(
          CpuFeature.HYPERVISOR,
          CpuFeature.LA57,
          CpuFeature.MMX,
          CpuFeature.RDRAND,
          CpuFeature.TSC_DEADLINE,
          CpuFeature.XSAVE);

  /** Checks the ranges and takes a copy of the features. */
  public CpuModel {
    features = features.isEmpty() ? Set.of() : Set.copyOf(features);
    if (physicalAddressBits < 36 || physicalAddressBits > 52) {
      throw new IllegalArgumentException(
          "MAXPHYADDR must be 36 to 52: physicalAddressBits=%d".formatted(physicalAddressBits));
    }
    if (brand.length() > 47) {
      throw new IllegalArgumentException("brand string too long: length=" + brand.length());
    }
    if (crystalHz <= 0 || tscHz < crystalHz || tscHz % crystalHz != 0) {
      throw new IllegalArgumentException(
          "TSC rate must be a multiple of the crystal's: tscHz=%d crystalHz=%d"
              .formatted(tscHz, crystalHz));
    }
  }

  /**
   * The default: an in-order Atom (family 6, model 28), which speculates on nothing, so that a
   * kernel turns no mitigation on; with the memory features of later processors.
   */
  public static CpuModel atom() {
    return new CpuModel(
        6,
        28,
        10,
        "Memvisor software x86-64 processor",
        EnumSet.complementOf(EnumSet.copyOf(OPTIONAL)),
        40,
        1_000_000_000L,
        25_000_000L);
  }

  /** A model that kernels hold for vulnerable to Meltdown (model 44), so that they turn PTI on. */
  public static CpuModel vulnerable() {
    CpuModel base = atom();
    return new CpuModel(
        6, 44, 2, base.brand, base.features, base.physicalAddressBits, base.tscHz, base.crystalHz);
  }

  /** This model with one feature added. */
  public CpuModel with(CpuFeature feature) {
    Set<CpuFeature> more = EnumSet.noneOf(CpuFeature.class);
    more.addAll(features);
    more.add(feature);
    return withFeatures(more);
  }

  /** This model with one feature taken away. */
  public CpuModel without(CpuFeature feature) {
    Set<CpuFeature> fewer = EnumSet.noneOf(CpuFeature.class);
    fewer.addAll(features);
    fewer.remove(feature);
    return withFeatures(fewer);
  }

  private CpuModel withFeatures(Set<CpuFeature> newFeatures) {
    return new CpuModel(
        family, model, stepping, brand, newFeatures, physicalAddressBits, tscHz, crystalHz);
  }

  /** This model with another MAXPHYADDR. */
  public CpuModel withPhysicalAddressBits(int bits) {
    return new CpuModel(family, model, stepping, brand, features, bits, tscHz, crystalHz);
  }

  /** This model with other clock rates. */
  public CpuModel withClock(long newTscHz, long newCrystalHz) {
    return new CpuModel(
        family, model, stepping, brand, features, physicalAddressBits, newTscHz, newCrystalHz);
  }

  /** Whether a feature is advertised. */
  public boolean has(CpuFeature feature) {
    return features.contains(feature);
  }

  /** The features as bits by ordinal, for tests while instructions run. */
  long featureBits() {
    long bits = 0;
    for (CpuFeature feature : features) {
      bits |= 1L << feature.ordinal();
    }
    return bits;
  }

  /** Linear-address width that the processor supports. */
  int linearAddressBits() {
    return has(CpuFeature.LA57) ? 57 : 48;
  }

  /**
   * The answer to CPUID: EAX, EBX, ECX, EDX. Leaves that do not exist are all zero, as AMD answers
   * and kernels expect.
   *
   * @param apicId initial local APIC identifier
   */
  public int[] cpuid(int leaf, int subleaf, int apicId) {
    int[] r = new int[4];
    fixed(leaf, subleaf, apicId, r);
    boolean featureLeaf = leaf != 7 || subleaf == 0;
    if (featureLeaf) {
      for (CpuFeature feature : features) {
        if (feature.leaf == leaf) {
          r[feature.register] |= 1 << feature.bit;
        }
      }
    }
    return r;
  }

  private void fixed(int leaf, int subleaf, int apicId, int[] r) {
    switch (leaf) {
      case 0 -> put(r, MAX_LEAF, word("Genu"), word("ntel"), word("ineI"));
      case 1 -> put(r, signature(), apicId << 24 | 1 << 16 | 8 << 8, 0, 0);
      // Descriptors: 4-way L1 caches with 64-byte lines, 64-entry TLBs.
      case 2 -> put(r, 0x00B3_B001, 0, 0, 0x0056_57F0);
      case 4 -> cache(subleaf, r);
      case 0xD -> extendedState(subleaf, r);
      case 0x15 -> put(r, 1, (int) (tscHz / crystalHz), (int) crystalHz, 0);
      case 0x16 -> put(r, megahertz(), megahertz(), (int) (crystalHz / 1_000_000), 0);
      case 0x8000_0000 -> put(r, MAX_EXTENDED_LEAF, 0, 0, 0);
      case 0x8000_0002, 0x8000_0003, 0x8000_0004 -> brand(leaf - 0x8000_0002, r);
      // L2: 512 KiB, 8-way, 64-byte lines.
      case 0x8000_0006 -> put(r, 0, 0, 512 << 16 | 6 << 12 | 64, 0);
      case 0x8000_0008 -> put(r, linearAddressBits() << 8 | physicalAddressBits, 0, 0, 0);
      default -> {}
    }
  }

  private static void put(int[] r, int eax, int ebx, int ecx, int edx) {
    r[0] = eax;
    r[1] = ebx;
    r[2] = ecx;
    r[3] = edx;
  }

  /** Four ASCII characters, first one lowest. */
  private static int word(String four) {
    return ByteBuffer.wrap(four.getBytes(StandardCharsets.US_ASCII))
        .order(ByteOrder.LITTLE_ENDIAN)
        .getInt();
  }

  /** Family, model and stepping as leaf 1 packs them. */
  private int signature() {
    int baseFamily = Math.min(family, 15);
    int extendedFamily = family - baseFamily;
    return extendedFamily << 20
        | model >>> 4 << 16
        | baseFamily << 8
        | (model & 15) << 4
        | stepping;
  }

  private int megahertz() {
    return (int) (tscHz / 1_000_000);
  }

  /** Deterministic cache parameters: 32 KiB L1 data and code, 512 KiB L2, all 8-way. */
  private static void cache(int subleaf, int[] r) {
    int ways = 7 << 22 | 63;
    switch (subleaf) {
      case 0 -> put(r, 1 << 8 | 1 << 5 | 1, ways, 63, 0);
      case 1 -> put(r, 1 << 8 | 1 << 5 | 2, ways, 63, 0);
      case 2 -> put(r, 1 << 8 | 2 << 5 | 3, ways, 1023, 0);
      default -> {}
    }
  }

  /** Processor extended state: x87 and SSE in the standard format, and XSAVEOPT. */
  private void extendedState(int subleaf, int[] r) {
    if (!has(CpuFeature.XSAVE)) {
      return;
    }
    switch (subleaf) {
      case 0 -> put(r, 3, FpuSaveOps.XSAVE_AREA_BYTES, FpuSaveOps.XSAVE_AREA_BYTES, 0);
      case 1 -> put(r, 1, 0, 0, 0);
      default -> {}
    }
  }

  private void brand(int part, int[] r) {
    byte[] bytes = new byte[48];
    byte[] text = brand.getBytes(StandardCharsets.US_ASCII);
    System.arraycopy(text, 0, bytes, 0, text.length);
    ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < 4; i++) {
      r[i] = buffer.getInt(part * 16 + 4 * i);
    }
  }
}
