package memvisor.machine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Acting on a machine from another thread. */
@Timeout(30)
final class BoundaryActionsTest {
  private final AtomicInteger wakes = new AtomicInteger();
  private final BoundaryActions actions = new BoundaryActions(wakes::incrementAndGet);
  private final AtomicBoolean stop = new AtomicBoolean();

  /** A machine that does nothing but reach block boundaries. */
  private Thread startMachine() throws InterruptedException {
    CountDownLatch entered = new CountDownLatch(1);
    Thread machine =
        new Thread(
            () -> {
              actions.enter();
              entered.countDown();
              try {
                while (!stop.get()) {
                  actions.perform();
                }
              } finally {
                actions.leave();
              }
            });
    machine.start();
    entered.await();
    return machine;
  }

  private void join(Thread machine) throws InterruptedException {
    stop.set(true);
    machine.join();
  }

  @Test
  void theRunningThreadPerformsAnActionOfAnother() throws InterruptedException {
    Thread machine = startMachine();
    assertThat(actions.call(Thread::currentThread)).isSameAs(machine);
    assertThat(wakes).hasPositiveValue();
    join(machine);
  }

  @Test
  void theAskingThreadPerformsItWhenNobodyRunsTheMachine() {
    assertThat(actions.call(Thread::currentThread)).isSameAs(Thread.currentThread());
  }

  @Test
  void anActionMayAskForAnother() throws InterruptedException {
    Thread machine = startMachine();
    assertThat(actions.<Thread>call(() -> actions.call(Thread::currentThread))).isSameAs(machine);
    join(machine);
  }

  @Test
  void whatAnActionThrowsReachesTheAskerAndNotTheMachine() throws InterruptedException {
    Thread machine = startMachine();
    assertThatThrownBy(
            () ->
                actions.call(
                    () -> {
                      throw new IllegalArgumentException("no such thing");
                    }))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("no such thing");
    assertThat(machine.isAlive()).isTrue();
    join(machine);
  }

  @Test
  void noActionIsLostWhenTheMachineStartsAndStopsAllTheTime() throws InterruptedException {
    AtomicInteger inside = new AtomicInteger();
    AtomicInteger overlaps = new AtomicInteger();
    Thread machine =
        new Thread(
            () -> {
              while (!stop.get()) {
                actions.enter();
                actions.perform();
                actions.leave();
              }
            });
    machine.start();
    Runnable asker =
        () -> {
          for (int i = 0; i < 2000; i++) {
            actions.call(
                () -> {
                  if (inside.incrementAndGet() != 1) {
                    overlaps.incrementAndGet();
                  }
                  return inside.decrementAndGet();
                });
          }
        };
    Thread first = new Thread(asker);
    Thread second = new Thread(asker);
    first.start();
    second.start();
    first.join();
    second.join();
    join(machine);
    assertThat(overlaps).hasValue(0);
    assertThat(actions.isWaiting()).isFalse();
  }

  @Test
  void aClosedMachineRefusesActions() {
    AtomicBoolean performed = new AtomicBoolean();
    actions.close();
    assertThatThrownBy(() -> actions.call(() -> performed.getAndSet(true)))
        .isInstanceOf(MachineEndedException.class)
        .hasMessage("the machine has ended");
    assertThat(performed).isFalse();
  }

  @Test
  void closingWaitsForAnActionUnderWay() throws InterruptedException {
    CountDownLatch begun = new CountDownLatch(1);
    AtomicBoolean finished = new AtomicBoolean();
    Thread asker =
        new Thread(
            () ->
                actions.call(
                    () -> {
                      begun.countDown();
                      sleepMillis(50);
                      finished.set(true);
                      return "done";
                    }));
    asker.start();
    begun.await();
    actions.close();
    assertThat(finished).isTrue();
    asker.join();
  }

  private static void sleepMillis(long millis) {
    try {
      Thread.sleep(millis);
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void anInterruptedAskerGivesUp() throws InterruptedException {
    actions.enter();
    AtomicBoolean gaveUp = new AtomicBoolean();
    Thread asker =
        new Thread(
            () -> {
              try {
                actions.call(() -> "never");
              } catch (IllegalStateException e) {
                gaveUp.set(Thread.currentThread().isInterrupted());
              }
            });
    asker.start();
    asker.interrupt();
    asker.join();
    actions.leave();
    assertThat(gaveUp).isTrue();
  }
}
