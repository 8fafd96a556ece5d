package memvisor.tlb;

import memvisor.paging.TableMemory;

/**
 * What lies between the addresses that the walked tables contain and HPA: nothing, a base and a
 * limit, or nested tables. Also the port through which those tables are read.
 *
 * <p>The outcome of the last {@link #translate} is left in the object, so that nothing is
 * allocated.
 */
abstract class SecondDimension implements TableMemory {
  /** HPA of the last address translated. */
  long hpa;

  /** {@link memvisor.paging.Rights} of the second dimension for it. */
  int rights;

  /** Binary logarithm of the run around it that translates alike. */
  int sizeLog2;

  /** Whether writes need no dirty flag to be set in this dimension. */
  boolean dirty;

  /** The address that could not be translated. */
  long faultGpa;

  /** Why, as {@link TranslationResult#qualification} says it. */
  long faultQualification;

  /** Whether a nested entry was malformed. */
  boolean faultMisconfiguration;

  /** Translates the byte at {@code gpa}; false leaves the fault fields. */
  abstract boolean translate(long gpa, int access);

  /** Whether {@code rights} of an earlier translation allow {@code access}. */
  abstract boolean allows(int earlierRights, int access);

  /** Whether the addresses are guest-physical, and so worth remembering. */
  abstract boolean isGuestPhysical();
}
