// Takes an image from the clipboard wherever the page is pasted into, except where text is being written.

const catchers = new WeakMap()

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const before = catchers.get(parentElement)
  if (before) document.removeEventListener("paste", before)
  const onPaste = (event) => {
    const images = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith("image/"))
    if (!images.length) return
    event.preventDefault()
    for (const file of images.slice(0, 1)) {
      if (file.size > data.largest_bytes) {
        setTriggerValue("pasted", { name: file.name, too_large: true })
        continue
      }
      const reader = new FileReader()
      reader.onload = () =>
        setTriggerValue("pasted", { name: file.name || "pasted.png", data: String(reader.result).split(",")[1] ?? "" })
      reader.readAsDataURL(file)
    }
  }
  document.addEventListener("paste", onPaste)
  catchers.set(parentElement, onPaste)
  return () => document.removeEventListener("paste", onPaste)
}
