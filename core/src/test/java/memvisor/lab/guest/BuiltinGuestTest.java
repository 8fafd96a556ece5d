package memvisor.lab.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import memvisor.lab.Workload;
import memvisor.lab.WorkloadParameters;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

final class BuiltinGuestTest {
  @ParameterizedTest
  @EnumSource
  void theImageIsAnExecutableWhoseEntriesLieInItsSegment(Workload workload) {
    ByteBuffer file =
        ByteBuffer.wrap(BuiltinGuest.image(workload, workload.defaults()))
            .order(ByteOrder.LITTLE_ENDIAN);
    assertThat(file.getInt(0)).isEqualTo(0x464C457F);
    int load = (int) file.getLong(32);
    long start = file.getLong(load + 24);
    long end = start + file.getLong(load + 32);
    assertThat(start).isEqualTo(Layout.IMAGE_GPA);
    assertThat(end).isLessThanOrEqualTo(Layout.SHARE_COUNTS_GPA);
    assertThat(file.getLong(24)).isBetween(start, end - 1);
    int note = (int) file.getLong(load + 56 + 8);
    assertThat(file.getInt(note + 8)).isEqualTo(18);
    assertThat((long) file.getInt(note + 16)).isBetween(start, end - 1);
    assertThat(file.getLong(load + 8) + file.getLong(load + 32)).isEqualTo(file.capacity());
  }

  @ParameterizedTest
  @EnumSource
  void theSameWorkloadGivesTheSameImage(Workload workload) {
    assertThat(BuiltinGuest.image(workload, workload.defaults()))
        .isEqualTo(BuiltinGuest.image(workload, workload.defaults()));
  }

  @ParameterizedTest
  @CsvSource({
    "RANDOM_UPDATE, 65536, 1, 264",
    "COPY_ON_WRITE, 256, 1, 10",
    "SPACE_SWITCH, 512, 8, 24"
  })
  void memoryCoversTheDataFrames(Workload workload, int pages, int spaces, int mebibytes) {
    assertThat(BuiltinGuest.memoryBytes(workload, new WorkloadParameters(pages, 1, spaces)))
        .isEqualTo((long) mebibytes << 20);
  }

  @ParameterizedTest
  @CsvSource({"3, 1, 1", "0, 1, 1", "131072, 1, 1", "4, 0, 1", "4, 1, 0", "4, 1, 65"})
  void parametersOutsideTheirRangesAreRejected(int pages, long iterations, int spaces) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new WorkloadParameters(pages, iterations, spaces));
  }

  @ParameterizedTest
  @CsvSource({"SPACE_SWITCH, 65536, 64", "SPACE_SWITCH_PCID, 16384, 64"})
  void moreTablesThanThereIsRoomForAreRejected(Workload workload, int pages, int spaces) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> BuiltinGuest.image(workload, new WorkloadParameters(pages, 1, spaces)))
        .withMessageContaining("page tables");
  }
}
