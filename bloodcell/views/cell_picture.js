// A picture with either one frame that the reader moves and resizes, or numbered boxes that open a cell.
//
// Boxes are given and returned in the pixels of the image, [left, top, width, height]. A move is drawn at once and sent
// when the pointer lets go or the keys rest. Texts are only ever set as text, never as HTML.

const LEAST_SIDE = 16
const REST_MS = 450
const pictures = new WeakMap()

export default function (component) {
  const { parentElement, data, setTriggerValue } = component
  if (!data) return
  let picture = pictures.get(parentElement)
  if (!picture) {
    picture = { root: parentElement.querySelector(".picture"), hint: parentElement.querySelector(".hint"), box: null }
    pictures.set(parentElement, picture)
  }
  picture.send = setTriggerValue
  draw(picture, data)
  return () => clearTimeout(picture.rest)
}

function draw(picture, data) {
  const { root } = picture
  const image = root.querySelector("img")
  if (image.src !== data.address) image.src = data.address
  image.alt = data.alt
  root.classList.toggle("coarse", Math.max(data.width, data.height) <= 128)
  // A tall picture must not push the verdict out of sight.
  root.style.width = `min(100%, ${((data.tallest * data.width) / data.height).toFixed(1)}px)`
  root.style.aspectRatio = `${data.width} / ${data.height}`
  picture.data = data
  picture.hint.textContent = data.hint ?? ""
  const marks = root.querySelector(".marks")
  if (data.frame) drawFrame(picture, marks)
  else drawBoxes(picture, marks)
}

function place(element, [left, top, width, height], data) {
  element.style.left = `${(100 * left) / data.width}%`
  element.style.top = `${(100 * top) / data.height}%`
  element.style.width = `${(100 * width) / data.width}%`
  element.style.height = `${(100 * height) / data.height}%`
}

// --- one frame --------------------------------------------------------------------------------------------------------

function drawFrame(picture, marks) {
  const { data } = picture
  let frame = marks.querySelector(".frame")
  if (!frame) {
    marks.replaceChildren()
    frame = document.createElement("div")
    frame.className = "frame"
    frame.tabIndex = 0
    frame.setAttribute("role", "application")
    for (const corner of ["nw", "ne", "sw", "se"]) {
      const handle = document.createElement("div")
      handle.className = `handle ${corner}`
      handle.onpointerdown = (event) => drag(picture, frame, event, resized)
      frame.append(handle)
    }
    frame.onpointerdown = (event) => drag(picture, frame, event, moved)
    frame.onkeydown = (event) => onKey(picture, frame, event)
    marks.append(frame)
  }
  picture.box = [...data.frame]
  frame.style.setProperty("--mark", data.colour)
  frame.setAttribute("aria-label", data.frame_label)
  place(frame, picture.box, data)
}

function drag(picture, frame, event, change) {
  event.preventDefault()
  event.stopPropagation()
  frame.focus()
  const { data, root } = picture
  const target = event.currentTarget
  const scale = data.width / root.getBoundingClientRect().width
  const start = [...picture.box]
  const middle = frame.getBoundingClientRect()
  const centre = [middle.left + middle.width / 2, middle.top + middle.height / 2]
  target.setPointerCapture(event.pointerId)
  target.onpointermove = (move) => {
    picture.box = change(start, event, move, scale, centre, data)
    place(frame, picture.box, data)
  }
  target.onpointerup = target.onpointercancel = () => {
    target.onpointermove = target.onpointerup = target.onpointercancel = null
    if (picture.box.some((value, index) => value !== start[index])) picture.send("moved", picture.box)
  }
}

function moved([left, top, width, height], from, to, scale, centre, data) {
  return inside([left + (to.clientX - from.clientX) * scale, top + (to.clientY - from.clientY) * scale, width, height], data)
}

function resized([left, top, width, height], from, to, scale, [x, y], data) {
  const reach = Math.max(Math.abs(to.clientX - x), Math.abs(to.clientY - y)) * 2 * scale
  return about([left + width / 2, top + height / 2], reach, data)
}

function about([x, y], side, data) {
  const length = Math.min(Math.max(side, LEAST_SIDE), 2 * Math.max(data.width, data.height))
  return inside([x - length / 2, y - length / 2, length, length], data)
}

// The middle of the frame stays in the image; its edges may leave it.
function inside([left, top, width, height], data) {
  const keep = (start, length, whole) => Math.round(Math.min(Math.max(start, -length / 2), whole - 1 - length / 2))
  return [keep(left, width, data.width), keep(top, height, data.height), Math.round(width), Math.round(height)]
}

function onKey(picture, frame, event) {
  const { data } = picture
  const [left, top, width, height] = picture.box
  const step = Math.max(1, Math.round(width * (event.shiftKey ? 0.1 : 0.02)))
  const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }
  const grow = { "+": 1, "=": 1, "-": -1, _: -1 }[event.key]
  if (event.key in ways) {
    const [across, down] = ways[event.key]
    picture.box = inside([left + across * step, top + down * step, width, height], data)
  } else if (grow) {
    picture.box = about([left + width / 2, top + height / 2], width + grow * 2 * step, data)
  } else return
  event.preventDefault()
  place(frame, picture.box, data)
  clearTimeout(picture.rest)
  picture.rest = setTimeout(() => picture.send("moved", picture.box), REST_MS)
}

// --- numbered boxes ---------------------------------------------------------------------------------------------------

function drawBoxes(picture, marks) {
  const { data } = picture
  const focused = marks.getRootNode().activeElement?.dataset?.index
  marks.replaceChildren(
    ...data.boxes.map((box, index) => {
      const button = document.createElement("button")
      button.type = "button"
      const isAtTop = box.box[1] < 0.06 * data.height // its number would be cut off above
      button.className = ["box", box.refused && "refused", box.open && "open", isAtTop && "low"].filter(Boolean).join(" ")
      button.dataset.index = index
      button.style.setProperty("--mark", box.colour)
      button.setAttribute("aria-label", box.label)
      button.title = box.label
      const number = document.createElement("span")
      number.textContent = box.number
      button.append(number)
      button.onclick = () => picture.send("opened", box.key)
      place(button, box.box, data)
      return button
    }),
  )
  if (focused !== undefined) marks.children[focused]?.focus()
}
