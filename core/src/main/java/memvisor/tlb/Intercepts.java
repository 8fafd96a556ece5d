package memvisor.tlb;

/**
 * What a technique asks the processor to exit on, beyond translations that fail.
 *
 * @param pageFault page faults exit before the guest sees them (EXCEPTION_NMI)
 * @param cr3 MOV to CR3 exits (CR_ACCESS)
 * @param pagingControls changes of CR0, CR4 or EFER that concern paging exit
 * @param invlpg INVLPG and INVPCID exit
 */
public record Intercepts(boolean pageFault, boolean cr3, boolean pagingControls, boolean invlpg) {
  /** No intercept: the hardware does it all. */
  public static final Intercepts NONE = new Intercepts(false, false, false, false);

  /** Every intercept: the guest's paging registers never reach the hardware. */
  public static final Intercepts ALL = new Intercepts(true, true, true, true);
}
