package memvisor.testing;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import memvisor.memory.Hva;
import memvisor.memory.MachineMemory;

/** A small machine memory for tests: zeroed, freed with the garbage collector. */
public final class TestMachine {
  private final MemorySegment segment;
  private final MachineMemory memory;
  private long nextFrame;

  /**
   * A machine of that many bytes; frames are given out from the top, so no identity hides a bug.
   */
  public TestMachine(long sizeBytes) {
    segment = Arena.ofAuto().allocate(sizeBytes, 4096);
    memory = new MachineMemory(segment.address(), sizeBytes);
    nextFrame = sizeBytes;
  }

  public MachineMemory memory() {
    return memory;
  }

  /** A zeroed frame's HPA. */
  public long frame() {
    nextFrame -= 4096;
    if (nextFrame < 0) {
      throw new IllegalStateException("test machine too small: sizeBytes=" + segment.byteSize());
    }
    return nextFrame;
  }

  public long read(long hpa) {
    return Hva.readLong(memory.hva(hpa));
  }

  public void write(long hpa, long value) {
    Hva.writeLong(memory.hva(hpa), value);
  }

  public void write32(long hpa, int value) {
    Hva.writeInt(memory.hva(hpa), value);
  }

  public void write(long hpa, byte[] bytes) {
    Hva.write(memory.hva(hpa), bytes, 0, bytes.length);
  }
}
