package memvisor.lab;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import memvisor.machine.TechniqueKind;
import memvisor.tlb.TlbConfiguration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

final class ExperimentTest {
  private static final Experiment EXPERIMENT =
      new Experiment(LabHardware.of(TlbConfiguration.DEFAULT), 120_000_000_000L);

  /**
   * What the images print when QEMU 7.2 (TCG, -cpu max, which has no PCID) runs them with the
   * default parameters.
   */
  private static final Map<Workload, String> QEMU =
      new EnumMap<>(
          Map.of(
              Workload.SEQUENTIAL_COPY, "b866a88208aec0d8",
              Workload.RANDOM_UPDATE, "89296e61a5d3105f",
              Workload.POINTER_CHASE, "e6f383382049732b",
              Workload.MAP_CHURN, "d0558604d4a5109c",
              Workload.SPACE_SWITCH, "181a303cbb7299db",
              Workload.SPACE_SWITCH_PCID, "181a303cbb7299db",
              Workload.COPY_ON_WRITE, "43950c8c1a034f99"));

  static Stream<Arguments> everyRun() {
    List<Arguments> runs = new ArrayList<>();
    for (Workload workload : Workload.values()) {
      for (TechniqueKind technique : TechniqueKind.values()) {
        if (Experiment.obstacle(workload, technique).isEmpty()) {
          runs.add(Arguments.of(workload, technique));
        }
      }
    }
    return runs.stream();
  }

  @ParameterizedTest
  @MethodSource("everyRun")
  void everyTechniqueGivesTheResultThatQemuGives(Workload workload, TechniqueKind technique) {
    RunResult run = EXPERIMENT.run(workload, workload.defaults(), technique);
    assertThat(run.outcome()).isEqualTo("ended");
    assertThat(run.check()).isEqualTo(QEMU.get(workload));
  }

  @Test
  void equalExperimentsCountEqually() {
    WorkloadParameters small = new WorkloadParameters(64, 3, 1);
    for (TechniqueKind technique : TechniqueKind.transparent()) {
      RunResult first = EXPERIMENT.run(Workload.COPY_ON_WRITE, small, technique);
      RunResult second = EXPERIMENT.run(Workload.COPY_ON_WRITE, small, technique);
      assertThat(first.instructions()).isEqualTo(second.instructions());
      assertThat(first.exits()).isEqualTo(second.exits());
      assertThat(first.tlb()).isEqualTo(second.tlb());
    }
  }

  @Test
  void theKnownShapesComeOut() {
    Map<TechniqueKind, Double> chase = cycles(Workload.POINTER_CHASE);
    assertThat(chase.get(TechniqueKind.SHADOW)).isLessThan(chase.get(TechniqueKind.NESTED));
    assertThat(chase.get(TechniqueKind.TRAP)).isGreaterThan(50 * chase.get(TechniqueKind.NESTED));
    Map<TechniqueKind, Double> churn = cycles(Workload.MAP_CHURN);
    assertThat(churn.get(TechniqueKind.NESTED)).isLessThan(churn.get(TechniqueKind.SHADOW));
    assertThat(churn.get(TechniqueKind.PARTITION)).isLessThan(churn.get(TechniqueKind.NESTED));
  }

  @Test
  void tagsSpareTheMissesOfASwitch() {
    RunResult untagged =
        EXPERIMENT.run(
            Workload.SPACE_SWITCH, Workload.SPACE_SWITCH.defaults(), TechniqueKind.NESTED);
    RunResult tagged =
        EXPERIMENT.run(
            Workload.SPACE_SWITCH_PCID, Workload.SPACE_SWITCH.defaults(), TechniqueKind.NESTED);
    assertThat(tagged.tlb().walks()).isLessThan(untagged.tlb().walks() / 100);
  }

  @Test
  void withoutCachesEachTlbMissOfANestedGuestReads24Entries() {
    RunResult run =
        new Experiment(LabHardware.of(TlbConfiguration.OFF), 120_000_000_000L)
            .run(Workload.POINTER_CHASE, new WorkloadParameters(16, 1000, 1), TechniqueKind.NESTED);
    assertThat(run.tlb().walks()).isGreaterThan(1000);
    // Fetches go through the identity map's 2 MiB pages: 19 entries.
    assertThat(run.referencesPerWalk()).isBetween(19.0, 24.0);
  }

  private static Map<TechniqueKind, Double> cycles(Workload workload) {
    Map<TechniqueKind, Double> cycles = new EnumMap<>(TechniqueKind.class);
    for (TechniqueKind technique : TechniqueKind.transparent()) {
      RunResult run = EXPERIMENT.run(workload, workload.defaults(), technique);
      cycles.put(technique, CycleModel.DEFAULT.cycles(run));
    }
    return cycles;
  }
}
