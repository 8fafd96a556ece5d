package memvisor.memory;

/**
 * The one run of machine memory behind a VM of the partition technique: guest physical {@code [0,
 * limitBytes)} is HPA {@code [baseHpa, baseHpa + limitBytes)}, every frame of it the VM's own.
 *
 * @param baseHpa where guest physical 0 lies, 2 MiB aligned
 * @param limitBytes first guest physical address past the run, a multiple of 4 KiB
 */
public record PartitionSlice(long baseHpa, long limitBytes) {}
