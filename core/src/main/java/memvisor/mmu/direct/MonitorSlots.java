package memvisor.mmu.direct;

import memvisor.memory.FrameRole;
import memvisor.memory.Hva;
import memvisor.memory.MachineMemory;
import memvisor.memory.VmBacking;

/**
 * What the monitor shows in its L4 slots: the machine-to-physical table, which the guest may read
 * (slot 256), and the descriptor tables, which only the processor itself reads (slot 257).
 *
 * <p>The table lists only the guest's own frames; a frame of anybody else reads as {@link
 * #INVALID}.
 */
public final class MonitorSlots {
  /** First address of the machine-to-physical table. */
  public static final long M2P_GVA = 0xFFFF_8000_0000_0000L;

  /** Linear address of the GDT. */
  public static final long GDT_GVA = 0xFFFF_8080_0000_0000L;

  /** Linear address of the LDT. */
  public static final long LDT_GVA = GDT_GVA + 0x1_0000;

  /** Pages of the LDT's window. */
  public static final int LDT_PAGES = 16;

  /** GDT pages that are the guest's; the next one is the monitor's. */
  public static final int GUEST_GDT_PAGES = 14;

  /** What the table holds for a frame that is not the guest's. */
  public static final long INVALID = -1;

  private static final int M2P_SLOT = 256;
  private static final int DESCRIPTOR_SLOT = 257;
  private static final int LDT_FIRST_ENTRY = 16;

  /** Flat segments of DPL 3 at selectors E023h, E02Bh and E033h: 32-bit code, data, 64-bit code. */
  private static final long[] FLAT = {
    0x00CF_FB00_0000_FFFFL, 0x00CF_F300_0000_FFFFL, 0x00AF_FB00_0000_FFFFL
  };

  private static final int FLAT_OFFSET = 0x20;
  private static final int FRAME_BYTES = 4096;

  private final VmBacking backing;
  private final MachineMemory machine;
  private final long[] m2pFrames;
  private final long m2pL3;
  private final long descriptorL1;
  private final long descriptorL3;

  /** Stands where the guest has no GDT page: descriptors that are not present. */
  private final long emptyPage;

  MonitorSlots(VmBacking backing) {
    this.backing = backing;
    machine = backing.machine();
    long bytes = (machine.sizeBytes() >>> 12) * 8;
    m2pFrames = new long[(int) ((bytes + FRAME_BYTES - 1) / FRAME_BYTES)];
    m2pL3 = allocate();
    long read = Pte.P | Pte.U | Pte.A;
    long l2 = 0;
    long l1 = 0;
    for (int i = 0; i < m2pFrames.length; i++) {
      if (i % (PageTypes.ENTRIES * PageTypes.ENTRIES) == 0) {
        l2 = table(m2pL3, i / (PageTypes.ENTRIES * PageTypes.ENTRIES), read);
      }
      if (i % PageTypes.ENTRIES == 0) {
        l1 = table(l2, i / PageTypes.ENTRIES % PageTypes.ENTRIES, read);
      }
      m2pFrames[i] = table(l1, i % PageTypes.ENTRIES, read | Pte.D | Pte.NX);
      Hva.fill(machine.hva(m2pFrames[i]), FRAME_BYTES, 0xFF);
    }
    long system = Pte.P | Pte.RW | Pte.A;
    descriptorL3 = allocate();
    emptyPage = allocate();
    descriptorL1 = table(table(descriptorL3, 0, system), 0, system);
    long page = table(descriptorL1, GUEST_GDT_PAGES, system | Pte.D | Pte.NX);
    for (int i = 0; i < GUEST_GDT_PAGES; i++) {
      setGdtPage(i, -1);
    }
    for (int i = 0; i < FLAT.length; i++) {
      Hva.writeLong(machine.hva(page) + FLAT_OFFSET + 8L * i, FLAT[i]);
    }
  }

  private long allocate() {
    long hpa = backing.allocateTable(FrameRole.MONITOR_PAGE);
    if (hpa < 0) {
      throw new IllegalArgumentException(
          "machine memory is too small for the machine-to-physical table");
    }
    return hpa;
  }

  private long table(long parent, int index, long flags) {
    long hpa = allocate();
    Hva.writeLong(machine.hva(parent) + 8L * index, hpa | flags);
    return hpa;
  }

  void install(PageTypes types) {
    types.setReservedSlot(M2P_SLOT, m2pEntry());
    types.setReservedSlot(DESCRIPTOR_SLOT, descriptorL3 | Pte.P | Pte.RW | Pte.A);
  }

  private long m2pEntry() {
    return m2pL3 | Pte.P | Pte.U | Pte.A;
  }

  /** Shows or hides the machine-to-physical table below one L4. */
  void showM2p(long l4Mfn, boolean shown) {
    Hva.writeLong(machine.hva(l4Mfn << 12) + 8L * M2P_SLOT, shown ? m2pEntry() : 0);
  }

  /** Frames that all this occupies. */
  long frames() {
    return m2pFrames.length + 9L + m2pFrames.length / PageTypes.ENTRIES;
  }

  /** Guest frame number of a machine frame, {@link #INVALID} if it is not the guest's. */
  public long pfn(long mfn) {
    int page = (int) (mfn >>> 9);
    return Hva.readLong(machine.hva(m2pFrames[page]) + (mfn & 511) * 8);
  }

  /** Number of entries of the machine-to-physical table: all frames of the machine. */
  public long machineFrames() {
    return machine.sizeBytes() >>> 12;
  }

  /** Changes an entry of the machine-to-physical table. */
  public void setMachineToPhysical(long mfn, long pfn) {
    int page = (int) (mfn >>> 9);
    Hva.writeLong(machine.hva(m2pFrames[page]) + (mfn & 511) * 8, pfn);
  }

  /** Puts a frame into the window of the GDT; -1 empties the place. */
  public void setGdtPage(int page, long mfn) {
    setDescriptorPage(page, mfn < 0 ? emptyPage >>> 12 : mfn);
  }

  /** Puts a frame into the window of the LDT; -1 empties the place. */
  public void setLdtPage(int page, long mfn) {
    setDescriptorPage(LDT_FIRST_ENTRY + page, mfn);
  }

  private void setDescriptorPage(int index, long mfn) {
    long entry = mfn < 0 ? 0 : mfn << 12 | Pte.P | Pte.RW | Pte.A | Pte.D | Pte.NX;
    Hva.writeLong(machine.hva(descriptorL1) + 8L * index, entry);
  }
}
