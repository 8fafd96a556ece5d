/**
 * What a guest sees as memory: regions, the memory map, and the ports that other packages
 * implement.
 *
 * <p>{@code mmu} asks host memory through {@link memvisor.memory.VmBacking}; {@code host}
 * implements it; {@code machine} wires the two, which never see each other.
 */
package memvisor.memory;
