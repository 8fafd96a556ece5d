/** Memvisor's library: the machine, the monitor, devices and boot protocols. */
@org.jspecify.annotations.NullMarked
module memvisor.core {
  requires java.management;
  requires jdk.unsupported; // memvisor.memory.Hva says why
  requires static org.jspecify;

  exports memvisor.address;
  exports memvisor.boot;
  exports memvisor.cpu.jit;
  exports memvisor.cpu.x86;
  exports memvisor.cpu.x86.asm;
  exports memvisor.device;
  exports memvisor.device.virtio;
  exports memvisor.host;
  exports memvisor.host.compress;
  exports memvisor.host.dedup;
  exports memvisor.host.frames;
  exports memvisor.host.page;
  exports memvisor.host.policy;
  exports memvisor.host.reclaim;
  exports memvisor.host.swap;
  exports memvisor.lab;
  exports memvisor.lab.guest;
  exports memvisor.machine;
  exports memvisor.machine.fleet;
  exports memvisor.machine.inspect;
  exports memvisor.machine.pc;
  exports memvisor.machine.xen;
  exports memvisor.memory;
  exports memvisor.mmu;
  exports memvisor.mmu.direct;
  exports memvisor.paging;
  exports memvisor.tlb;
}
