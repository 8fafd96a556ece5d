package memvisor.cpu.x86;

/** The segment registers, numbered as instructions number them, then TR and LDTR. */
public enum SegmentName {
  /** Extra. */
  ES,
  /** Code. */
  CS,
  /** Stack. */
  SS,
  /** Data. */
  DS,
  /** FS. */
  FS,
  /** GS. */
  GS,
  /** Task register. */
  TR,
  /** Local descriptor table. */
  LDTR
}
