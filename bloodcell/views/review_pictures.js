// Hands the pictures of a case to the gallery, once: decisions redraw the gallery and send no picture again.

export default function (component) {
  const pictures = (globalThis.bloodcellPictures ??= new Map())
  for (const [id, address] of Object.entries(component.data ?? {})) pictures.set(id, address)
  globalThis.dispatchEvent(new Event("bloodcell-pictures"))
}
