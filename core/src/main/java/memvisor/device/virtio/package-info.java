/**
 * Virtio devices: entropy, console, block and balloon, behind the memory-mapped transport.
 *
 * <p>{@link memvisor.device.virtio.VirtioMmio} is the entry point: it puts one {@link
 * memvisor.device.virtio.VirtioDevice} before a driver. Virtio 1.2 (OASIS, 2022): transport 4.2,
 * split rings 2.7 with indirect descriptors and event indexes, devices 5.2 to 5.5. Absent: packed
 * rings, legacy interfaces, queue reset, shared memory regions.
 *
 * <p>What a driver puts in a ring is never trusted. A broken ring sets DEVICE_NEEDS_RESET and is
 * not looked at again until the driver resets the device; it throws nothing, and a visit to a
 * device does a bounded amount of work. Devices reach guest memory only through {@link
 * memvisor.memory.GuestMemory}.
 *
 * <p>Threads: as for all devices, one at a time. Writing QueueNotify only notes that there is work;
 * it is done by {@link memvisor.device.virtio.VirtioMmio#advance}, between two instructions of the
 * guest, so that a device may take pages away from under the vCPU.
 */
@org.jspecify.annotations.NullMarked
package memvisor.device.virtio;
