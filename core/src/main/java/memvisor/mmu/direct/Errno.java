package memvisor.mmu.direct;

/** Error numbers of the hypercall ABI; calls return them negated. */
public final class Errno {
  /** Operation not permitted. */
  public static final int EPERM = 1;

  /** No such thing. */
  public static final int ENOENT = 2;

  /** No such domain. */
  public static final int ESRCH = 3;

  /** No such frame or offset. */
  public static final int ENXIO = 6;

  /** No memory. */
  public static final int ENOMEM = 12;

  /** Permission denied. */
  public static final int EACCES = 13;

  /** A guest buffer cannot be read or written. */
  public static final int EFAULT = 14;

  /** The frame is in use as something else. */
  public static final int EBUSY = 16;

  /** Exists already. */
  public static final int EEXIST = 17;

  /** No such device. */
  public static final int ENODEV = 19;

  /** Invalid argument. */
  public static final int EINVAL = 22;

  /** No room. */
  public static final int ENOSPC = 28;

  /** No such call. */
  public static final int ENOSYS = 38;

  /** More remains to be done: ask again. Never seen by a guest. */
  public static final int ERESTART = 85;

  /** Not available. */
  public static final int EOPNOTSUPP = 95;

  private Errno() {}
}
