# Sourced by scripts that start Linux guests with virtio devices.

# add_modules FOLDER DRIVER...: sets $modules to the options with which ./memvisor guest initrd packs virtio drivers and
# what they need. Their names say the order in which they need each other: one that comes too early is not loaded.
add_modules() {
  local folder=$1 module order=0
  shift
  modules=()
  for module in virtio_ring virtio virtio_mmio "$@"; do
    modules+=(--add "$folder/$module.ko:/lib/modules/$order-$module.ko")
    order=$((order + 1))
  done
}
