package memvisor.memory;

/**
 * The port by which a balloon gives a guest's pages back to the machine.
 *
 * <p>Implemented by {@code host}. Ranges {@code [firstGfn, firstGfn + count)} come from the guest
 * and may be anything: what is not RAM, or is in the wanted state already, is passed over. A page
 * that gave its frame up holds zeroes; whoever touches it makes it get a frame again.
 */
public interface BalloonPort {
  /**
   * Puts pages into the balloon: frees their frames.
   *
   * @return how many were not in it before
   */
  long inflate(long firstGfn, long count);

  /**
   * Lets pages out of the balloon; they get frames when they are touched.
   *
   * @return how many were in it
   */
  long deflate(long firstGfn, long count);

  /**
   * Frees the frames of pages that the guest says hold nothing of value.
   *
   * @return how many frames were freed
   */
  long discard(long firstGfn, long count);

  /** How many pages are in the balloon: put in, and neither let out nor touched since. */
  long balloonedPages();
}
