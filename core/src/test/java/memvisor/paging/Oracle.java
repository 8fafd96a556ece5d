package memvisor.paging;

import java.io.BufferedReader;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.GZIPInputStream;
import memvisor.memory.MachineMemory;
import memvisor.testing.TestMachine;

/** Page tables of one running kernel, at scattered HPA, with QEMU's answers about them. */
public final class Oracle implements TableMemory {
  /** One answer; {@code gpa} is -1 for unmapped. */
  public record Answer(long gva, long gpa, String flags) {}

  public final PagingState state = new PagingState();
  public final List<Answer> leaves = new ArrayList<>();
  public final List<Answer> answers = new ArrayList<>();
  private final Map<Long, Long> frames = new HashMap<>();
  private final TestMachine machine = new TestMachine(4 << 20);

  /** Reads the tables called {@code name}. */
  public Oracle(String name) {
    try {
      readTables(name);
      readRegisters(name);
      for (String line : lines(name + ".tlb.txt.gz")) {
        String[] parts = line.split("[: ]+");
        leaves.add(new Answer(hex(parts[0]), hex(parts[1]), parts[2]));
      }
      for (String line : lines(name + ".g2g.txt.gz")) {
        String[] parts = line.split(" ");
        long gpa = parts[1].equals("gpa:") ? hex(parts[2].substring(2)) : -1;
        answers.add(new Answer(hex(parts[0]), gpa, ""));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public MachineMemory memory() {
    return machine.memory();
  }

  @Override
  public long locate(long gpa) {
    Long frame = frames.get(gpa & -4096);
    return frame == null ? UNREACHABLE : frame + (gpa & 4095);
  }

  @Override
  public long locateForUpdate(long gpa) {
    throw new AssertionError("the oracle's tables are not to be changed");
  }

  private static long hex(String text) {
    return Long.parseUnsignedLong(text, 16);
  }

  private static InputStream open(String file) throws IOException {
    InputStream in = Oracle.class.getResourceAsStream("/oracle/" + file);
    if (in == null) {
      throw new IOException("no test resource oracle/" + file);
    }
    return file.endsWith(".gz") ? new GZIPInputStream(in) : in;
  }

  /** The lines of one file of the oracle. */
  public static List<String> lines(String file) {
    try (BufferedReader reader =
        new BufferedReader(new InputStreamReader(open(file), StandardCharsets.US_ASCII))) {
      return reader.lines().toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void readTables(String name) throws IOException {
    try (DataInputStream in = new DataInputStream(open(name + ".tables.gz"))) {
      while (true) {
        long gpa = Long.reverseBytes(in.readLong());
        byte[] page = new byte[4096];
        in.readFully(page);
        long hpa = machine.frame();
        machine.write(hpa, page);
        frames.put(gpa, hpa);
      }
    } catch (EOFException end) {
      return;
    }
  }

  private void readRegisters(String name) {
    String all = String.join(" ", lines(name + ".regs.txt"));
    state.setCr0(register(all, "CR0"));
    state.setCr3(register(all, "CR3"));
    state.setCr4(register(all, "CR4"));
    state.setEfer(register(all, "EFER"));
    if (PagingMode.of(state) == PagingMode.PAE) {
      for (int i = 0; i < 4; i++) {
        state.setPdpte(i, register(all, "PDPTE" + i));
      }
    }
  }

  private static long register(String all, String name) {
    Matcher matcher = Pattern.compile(name + "=([0-9a-f]+)").matcher(all);
    if (!matcher.find()) {
      throw new IllegalArgumentException("no register " + name + " in " + all);
    }
    return hex(matcher.group(1));
  }
}
