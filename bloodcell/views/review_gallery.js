// The review gallery: cells by group, one under the cursor, keys and clicks that decide on one or many of them.
//
// What the reader does is drawn at once and sent to Python as a growing list of numbered events; Python answers with the
// number it has handled, and only then an event is forgotten here. So fast keys are never lost, and what is shown in the
// end is what the database holds. Texts of users are only ever set as text, never as HTML.

const galleries = new WeakMap()

export default function (component) {
  const { parentElement, data, setStateValue } = component
  let gallery = galleries.get(parentElement)
  if (!gallery) {
    gallery = createGallery(parentElement)
    galleries.set(parentElement, gallery)
  }
  gallery.send = (events) => setStateValue("events", events)
  receive(gallery, data)
  return () => {
    document.removeEventListener("keydown", gallery.onKey)
    globalThis.removeEventListener("bloodcell-pictures", gallery.onPictures)
    galleries.delete(parentElement)
  }
}

function createGallery(parentElement) {
  const root = parentElement.querySelector(".review")
  const gallery = {
    root,
    client: crypto.randomUUID ? crypto.randomUUID() : String(Math.random()).slice(2),
    sequence: 0,
    pending: [],
    cells: new Map(),
    order: [],
    cursor: null,
    anchor: null,
    selected: new Set(),
    asked: null, // what the open form asks about: kind, cells, name, and for "other" the text and is_white it began with
    tiles: new Map(),
    data: null,
    focusToken: null,
    drawn: null, // the groups as they stand on the page
    send: () => {},
  }
  gallery.find = (name) => root.querySelector(name)
  gallery.onKey = (event) => onKey(gallery, event)
  gallery.onPictures = () => drawPictures(gallery)
  document.addEventListener("keydown", gallery.onKey)
  globalThis.addEventListener("bloodcell-pictures", gallery.onPictures)
  gallery.find(".words").onsubmit = (event) => submitWords(gallery, event)
  gallery.find(".words").onkeydown = (event) => {
    if (event.key === "Escape") closeWords(gallery) // a returned false would keep every other key from its text
  }
  gallery.find(".words input[type=text]").oninput = () => proposeWhite(gallery)
  gallery.find(".white input").onchange = () => (gallery.asked.isChosen = true)
  gallery.find(".cancel").onclick = () => closeWords(gallery)
  gallery.find(".groups").onclick = (event) => onClick(gallery, event)
  return gallery
}

// --- what Python says -------------------------------------------------------------------------------------------------

function receive(gallery, data) {
  if (!data) return
  const isFirst = gallery.data === null
  const focused = gallery.root.getRootNode().activeElement
  const previousIndex = gallery.order.indexOf(gallery.cursor)
  gallery.data = data
  const handled = data.handled[gallery.client] ?? 0
  gallery.pending = gallery.pending.filter((event) => event.sequence > handled)
  gallery.cells = new Map(data.cells.map((cell) => [cell.id, cell]))
  gallery.order = data.groups.flatMap((group) => group.cells)
  gallery.selected = new Set([...gallery.selected].filter((id) => gallery.order.includes(id)))
  drawButtons(gallery)
  drawGroups(gallery)
  if (data.focus_token !== gallery.focusToken) {
    gallery.focusToken = data.focus_token
    if (!isFirst && gallery.order.includes(data.focus)) gallery.cursor = data.focus
  }
  if (!gallery.order.includes(gallery.cursor)) {
    const open = gallery.order.find((id) => !isDone(gallery, id))
    const near = gallery.order[Math.min(Math.max(previousIndex, 0), gallery.order.length - 1)]
    gallery.cursor = (isFirst ? open : near) ?? gallery.order[0] ?? null
  }
  refresh(gallery)
  dropWords(gallery)
  // Where the list was drawn anew, or the cursor was sent elsewhere, the focus follows; else Tab would begin at the top.
  if (focused && (focused.matches(".tile, .empty") || !focused.isConnected)) focusCursor(gallery)
}

function decisionOf(gallery, id) {
  // What the person said, with what is still on its way to the database laid over it.
  const saved = gallery.cells.get(id)?.decision ?? null
  return gallery.pending.reduce(
    (decision, event) => (event.shown && event.cells.includes(id) ? event.shown(id) : decision),
    saved,
  )
}

function isDone(gallery, id) {
  const decision = decisionOf(gallery, id)
  return decision !== null && !(decision.label === gallery.data.other && !decision.text)
}

// --- what the reader does ---------------------------------------------------------------------------------------------

function emit(gallery, event) {
  gallery.sequence += 1
  gallery.pending.push({ ...event, client: gallery.client, sequence: gallery.sequence, seen: gallery.data.seen })
  gallery.send(gallery.pending.map(({ shown, ...sent }) => sent))
}

function targets(gallery) {
  if (gallery.selected.size) return gallery.order.filter((id) => gallery.selected.has(id))
  return gallery.cursor === null ? [] : [gallery.cursor]
}

function decide(gallery, label, { text = "", isWhite = true, cells = targets(gallery) } = {}) {
  if (gallery.data.locked || !cells.length) return
  const by = gallery.data.reviewer
  const shown = { label, text, is_white: isWhite, by, saving: true }
  emit(gallery, { type: "decide", cells, label, text, is_white: isWhite, shown: () => shown })
  afterDecision(gallery, cells, label)
}

function confirm(gallery) {
  // Each cell gets what the model said of it, all in one move, so that one undo takes all of it back.
  if (gallery.data.locked) return
  const said = (id) => gallery.cells.get(id)?.model?.label
  const cells = targets(gallery).filter(said)
  if (!cells.length) return announce(gallery, "The model named no type here; choose one.")
  const by = gallery.data.reviewer
  const labels = Object.fromEntries(cells.map((id) => [id, said(id)]))
  const shown = (id) => ({ label: labels[id], text: "", by, saving: true })
  emit(gallery, { type: "confirm", cells, labels: cells.map(said), shown })
  afterDecision(gallery, cells, "confirmed")
}

function afterDecision(gallery, cells, label) {
  const numbers = cells.map((id) => gallery.cells.get(id).number).join(", ")
  gallery.selected.clear()
  gallery.anchor = null
  const last = gallery.order.indexOf(cells.at(-1))
  if (gallery.data.advance && last >= 0) {
    const rest = [...gallery.order.slice(last + 1), ...gallery.order.slice(0, last + 1)]
    const next = rest.find((id) => !isDone(gallery, id)) ?? gallery.order[last + 1] ?? cells.at(-1)
    moveTo(gallery, next)
  } else refresh(gallery)
  announce(gallery, `Cell ${numbers}: ${label}.`)
}

function undo(gallery) {
  if (gallery.data.locked) return
  emit(gallery, { type: "undo", cells: [] })
  announce(gallery, "Undone.")
}

function moveTo(gallery, id, { extend = false } = {}) {
  if (id === undefined || id === null) return
  if (extend) {
    gallery.anchor ??= gallery.cursor
    const [from, to] = [gallery.order.indexOf(gallery.anchor), gallery.order.indexOf(id)].sort((a, b) => a - b)
    gallery.selected = new Set(gallery.order.slice(from, to + 1))
  } else gallery.anchor = null
  gallery.cursor = id
  refresh(gallery)
  const tile = gallery.tiles.get(id)
  tile?.focus({ preventScroll: true })
  keepInView(gallery, tile)
}

function focusCursor(gallery) {
  const place = gallery.tiles.get(gallery.cursor) ?? gallery.find(".empty")
  place.focus({ preventScroll: true })
}

function keepInView(gallery, tile) {
  // The bar above lies over the gallery, so a tile under it is not in view.
  if (!tile) return
  const bar = gallery.find(".bar")
  const covered = getComputedStyle(bar).position === "sticky" ? bar.getBoundingClientRect().bottom : 0
  const box = tile.getBoundingClientRect()
  const scroller = bar.getRootNode().host?.closest('[data-testid="stMain"]') ?? document.scrollingElement
  if (box.top < covered + 8) scroller.scrollBy({ top: box.top - covered - 16 })
  else if (box.bottom > innerHeight - 8) scroller.scrollBy({ top: box.bottom - innerHeight + 24 })
}

function neighbour(gallery, direction) {
  const index = gallery.order.indexOf(gallery.cursor)
  if (direction === "left") return gallery.order[Math.max(index - 1, 0)]
  if (direction === "right") return gallery.order[Math.min(index + 1, gallery.order.length - 1)]
  // Up and down go to the nearest tile of the next row, whatever group it is in.
  const here = gallery.tiles.get(gallery.cursor)?.getBoundingClientRect()
  if (!here) return null
  const middle = (box) => (box.left + box.right) / 2
  let best = null
  for (const [id, tile] of gallery.tiles) {
    const box = tile.getBoundingClientRect()
    const rows = direction === "down" ? box.top - here.bottom : here.top - box.bottom
    if (rows < -1) continue
    const distance = rows * 1000 + Math.abs(middle(box) - middle(here))
    if (best === null || distance < best.distance) best = { id, distance }
  }
  return best?.id ?? gallery.cursor
}

const WITHOUT_TEXT = "[type=checkbox], [type=radio], [type=button], [type=submit], [type=file], [type=range]"
const TEXT_FIELDS = `input:not(${WITHOUT_TEXT}), textarea, select, [contenteditable], [contenteditable] *`

function isForUs(gallery, event) {
  // Keys act unless a text field has the focus, or the form of ours that asks for words.
  const path = event.composedPath()
  const target = path[0]
  if (!(target instanceof Element) || target.matches(TEXT_FIELDS)) return false
  if (document.querySelector('[data-testid="stDialog"], [role="dialog"]')) return false
  if (path.includes(gallery.find(".words"))) return false
  if (target === document.body || path.includes(gallery.root)) return true
  // A switch or button of the page that has the focus still needs Enter, Space, arrows and the like for itself.
  if (gallery.asked) return false
  if (event.ctrlKey || event.metaKey) return event.key.toLowerCase() === "z"
  return /^[a-z0-9]$/i.test(event.key) || event.key === "Delete"
}

function onKey(gallery, event) {
  if (!gallery.root.isConnected || gallery.data === null || !isForUs(gallery, event)) return
  const move = moveOf(gallery, event)
  const act = move ?? actionOf(gallery, event)
  if (!act) return
  event.preventDefault()
  // A key held down moves on and on but judges once: nobody has looked at the cells that it would run over.
  if (move || !event.repeat) act()
}

function moveOf(gallery, event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return null
  if (event.key.startsWith("Arrow")) {
    const direction = event.key.slice(5).toLowerCase()
    return () => moveTo(gallery, neighbour(gallery, direction), { extend: event.shiftKey })
  }
  if (event.key === "Home") return () => moveTo(gallery, gallery.order[0])
  if (event.key === "End") return () => moveTo(gallery, gallery.order.at(-1))
  return null
}

function actionOf(gallery, event) {
  const isButton = event.composedPath()[0].matches?.("button")
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key
  if (event.ctrlKey || event.metaKey) {
    if (key === "z") return () => undo(gallery)
    return key === "a" ? () => select(gallery, gallery.order) : null
  }
  if (event.altKey) return null
  if (/^[1-8]$/.test(key)) return () => decide(gallery, gallery.data.classes[Number(key) - 1].name)
  if (key === "9") return () => openWords(gallery, "other")
  if (key === "0" || key === "Delete") return () => decide(gallery, gallery.data.discarded)
  if (key === "u") return () => undo(gallery)
  if (key === "n") return () => openWords(gallery, "comment")
  if (key === "Escape") return () => select(gallery, [])
  if (key === "Enter" && !isButton) return () => confirm(gallery)
  if (key === " " && !isButton) return () => toggle(gallery, gallery.cursor)
  return null
}

function select(gallery, ids) {
  gallery.selected = new Set(ids)
  refresh(gallery)
}

function toggle(gallery, id) {
  if (!gallery.selected.delete(id)) gallery.selected.add(id)
  refresh(gallery)
}

function onClick(gallery, event) {
  onTileClick(gallery, event)
  // Looking at another cell to compare ends no sentence: what is typed next is text still, not keys that decide.
  if (gallery.asked) wordsInput(gallery).focus()
}

function onTileClick(gallery, event) {
  const chooser = event.target.closest(".choose")
  if (chooser) {
    const ids = gallery.data.groups[Number(chooser.dataset.group)].cells
    const isWhole = ids.every((id) => gallery.selected.has(id))
    for (const id of ids) isWhole ? gallery.selected.delete(id) : gallery.selected.add(id)
    return refresh(gallery)
  }
  const tile = event.target.closest(".tile")
  if (!tile) return
  const id = tile.dataset.id
  if (event.target.closest(".mark") || event.ctrlKey || event.metaKey) {
    gallery.cursor = id
    toggle(gallery, id)
  } else {
    if (!event.shiftKey) gallery.selected.clear()
    moveTo(gallery, id, { extend: event.shiftKey })
  }
}

// --- words: "other or abnormal", comments -------------------------------------------------------------------------------

function openWords(gallery, kind) {
  const cells = targets(gallery)
  if (gallery.data.locked || !cells.length) return
  const numbers = cells.map((id) => gallery.cells.get(id).number).join(", ")
  const [noun, verb] = cells.length > 1 ? ["cells", "are"] : ["cell", "is"]
  gallery.asked = { kind, cells, name: `${noun} ${numbers}` } // wherever the cursor goes while the form is open
  gallery.find(".words").hidden = false
  gallery.find(".question").textContent =
    kind === "other" ? `Other or abnormal. What ${verb} ${noun} ${numbers}?` : `Comment on ${noun} ${numbers}`
  gallery.find(".white").hidden = kind !== "other"
  Object.assign(gallery.asked, kind === "other" ? wordsBefore(gallery, cells) : { text: "", is_white: true })
  gallery.find(".white input").checked = gallery.asked.is_white
  const input = wordsInput(gallery)
  input.value = gallery.asked.text
  input.focus()
  input.select()
}

function wordsBefore(gallery, cells) {
  // What all of these cells have in common already, so that editing the words changes nothing else.
  const decisions = cells.map((id) => decisionOf(gallery, id))
  const areOther = decisions.every((decision) => decision?.label === gallery.data.other)
  const isSame = areOther && decisions.every((decision) => decision.text === decisions[0].text)
  return {
    text: isSame ? decisions[0].text : "",
    is_white: !areOther || decisions.some((decision) => decision.is_white),
  }
}

function proposeWhite(gallery) {
  // The longest known words that the text begins with say whether such a cell counts, until the reader ticks or unticks.
  const { asked } = gallery
  if (asked.kind !== "other" || asked.isChosen) return
  const text = wordsInput(gallery).value.trim().toLowerCase()
  const known = [asked, ...gallery.data.suggestions].filter((one) => text.startsWith(one.text.toLowerCase()))
  const closest = known.sort((one, another) => another.text.length - one.text.length)[0] ?? asked
  gallery.find(".white input").checked = closest.is_white
}

function wordsInput(gallery) {
  return gallery.find(".words input[type=text]")
}

function closeWords(gallery) {
  gallery.asked = null
  gallery.find(".words").hidden = true
  focusCursor(gallery)
}

function dropWords(gallery) {
  // A cell that is only filtered away keeps its question; one of a case that was signed or left cannot be answered.
  if (!gallery.asked) return
  const isHere = gallery.asked.cells.every((id) => gallery.cells.has(id))
  if (isHere && !gallery.data.locked) return
  const why = isHere ? "the case was signed meanwhile" : "another case is shown"
  announce(gallery, `The form for ${gallery.asked.name} is closed and nothing of it was saved: ${why}.`)
  closeWords(gallery)
}

function submitWords(gallery, event) {
  event.preventDefault()
  const { kind, cells } = gallery.asked
  const text = wordsInput(gallery).value.trim()
  closeWords(gallery)
  if (kind === "other") decide(gallery, gallery.data.other, { text, isWhite: gallery.find(".white input").checked, cells })
  else if (text) {
    emit(gallery, { type: "comment", cells, text })
    announce(gallery, "Comment saved.")
  }
}

// --- drawing ----------------------------------------------------------------------------------------------------------

function make(tag, className, text) {
  const element = document.createElement(tag)
  if (className) element.className = className
  if (text !== undefined) element.textContent = text
  return element
}

function drawButtons(gallery) {
  const bar = gallery.find(".choices")
  const { classes, locked } = gallery.data
  if (!bar.childElementCount) {
    const add = (key, label, onclick, short, glyph, color) => {
      const button = make("button", "choice")
      button.type = "button"
      button.append(make("kbd", "", key))
      if (glyph) {
        const mark = make("span", "glyph", glyph)
        mark.style.color = color
        mark.ariaHidden = "true"
        button.append(mark)
      }
      button.append(make("span", "long", label), make("span", "short", short))
      button.ariaLabel = `${label}, key ${key}`
      button.onclick = onclick
      bar.append(button)
    }
    classes.forEach((one, index) =>
      add(String(index + 1), one.name, () => decide(gallery, one.name), one.code, one.glyph, one.color),
    )
    add("9", "other or abnormal", () => openWords(gallery, "other"), "other", "?", "currentColor")
    add("0", "discard", () => decide(gallery, gallery.data.discarded), "discard", "✕", "currentColor")
    add("Enter", "confirm", () => confirm(gallery), "confirm", "✓", "currentColor")
    add("N", "comment", () => openWords(gallery, "comment"), "note", "✎", "currentColor")
    add("U", "undo", () => undo(gallery), "undo", "↶", "currentColor")
  }
  for (const button of bar.children) button.disabled = locked
  const list = gallery.find("datalist")
  list.replaceChildren(...gallery.data.suggestions.map(({ text }) => Object.assign(make("option"), { value: text })))
}

function drawGroups(gallery) {
  const holder = gallery.find(".groups")
  const groups = JSON.stringify(gallery.data.groups)
  if (groups === gallery.drawn) return
  gallery.drawn = groups
  const kept = gallery.tiles
  gallery.tiles = new Map()
  const sections = gallery.data.groups.map((group, index) => {
    const section = make("div", "group")
    const head = make("div", "head")
    const glyph = make("span", "glyph", group.glyph)
    glyph.style.color = group.color
    glyph.ariaHidden = "true"
    head.append(glyph, make("span", "title", group.title), make("span", "count", String(group.cells.length)))
    const choose = make("button", "choose", "select all")
    choose.type = "button"
    choose.ariaLabel = `select all ${group.cells.length} of ${group.title}`
    choose.dataset.group = String(index)
    head.append(choose)
    const grid = make("div", "grid")
    grid.role = "listbox"
    grid.ariaMultiSelectable = "true"
    grid.ariaLabel = `${group.title}, ${group.cells.length} cells, least certain first`
    for (const id of group.cells) {
      const tile = kept.get(id) ?? makeTile(id)
      gallery.tiles.set(id, tile)
      grid.append(tile)
    }
    section.append(head, grid)
    return section
  })
  holder.replaceChildren(...sections)
  gallery.find(".empty").tabIndex = -1 // it takes the focus of the last tile
  gallery.find(".empty").hidden = gallery.order.length > 0
}

function makeTile(id) {
  const tile = make("div", "tile")
  tile.role = "option"
  tile.dataset.id = id
  const frame = make("div", "frame")
  const image = make("img")
  image.alt = ""
  image.draggable = false
  frame.append(image, make("span", "number"), make("span", "mark"))
  tile.append(frame, make("div", "said"), make("div", "decided"))
  return tile
}

function refresh(gallery) {
  for (const [id, tile] of gallery.tiles) refreshTile(gallery, id, tile)
  drawPictures(gallery)
  drawDetail(gallery)
}

function describeModel(cell) {
  if (!cell.model) return "no model asked"
  const p = cell.model.probability
  // No network is sure to 100 %.
  const sure = p === null ? "" : p >= 0.9995 ? " > 99.9\u00a0%" : ` ${(100 * p).toFixed(1)}\u00a0%`
  const refused = cell.model.status === "ok" ? "" : ` · ${cell.model.status.replaceAll("_", " ")}`
  return `${cell.model.label ?? "no type"}${sure}${refused}`
}

function describeDecision(gallery, cell) {
  const decision = decisionOf(gallery, cell.id)
  if (decision === null) return { mark: "○", text: "not reviewed", kind: "open" }
  const words = decision.text ? `: ${decision.text}` : ""
  if (decision.label === gallery.data.discarded) return { mark: "✕", text: "discarded", kind: "discarded" }
  if (decision.label === gallery.data.other)
    return { mark: decision.text ? "?" : "○", text: `other${words || ", not described"}`, kind: decision.text ? "other" : "open" }
  if (decision.label === cell.model?.label) return { mark: "✓", text: "confirmed", kind: "confirmed" }
  return { mark: "→", text: decision.label, kind: "changed" }
}

function refreshTile(gallery, id, tile) {
  const cell = gallery.cells.get(id)
  const decision = decisionOf(gallery, id)
  const shown = describeDecision(gallery, cell)
  const label = gallery.data.classes.find((one) => one.name === (decision ? decision.label : cell.model?.label))
  tile.style.setProperty("--class-color", label ? label.color : "var(--st-gray-color, #8c8c8c)")
  tile.className = `tile ${shown.kind}${id === gallery.cursor ? " cursor" : ""}${decision?.saving ? " saving" : ""}`
  tile.tabIndex = id === gallery.cursor ? 0 : -1
  tile.ariaSelected = String(gallery.selected.has(id) || (!gallery.selected.size && id === gallery.cursor))
  tile.classList.toggle("selected", gallery.selected.has(id))
  tile.ariaLabel = `Cell ${cell.number}, model: ${describeModel(cell)}, ${shown.text}`
  tile.querySelector(".number").textContent = String(cell.number)
  tile.querySelector(".said").textContent = describeModel(cell)
  const comments = cell.comments.length ? ` ✎${cell.comments.length}` : ""
  tile.querySelector(".decided").textContent = `${shown.mark} ${shown.text}${comments}`
}

function drawPictures(gallery) {
  const pictures = globalThis.bloodcellPictures ?? new Map()
  for (const [id, tile] of gallery.tiles) {
    const image = tile.querySelector("img")
    const source = pictures.get(id)
    tile.classList.toggle("without", !source)
    if (source && image.src !== source) image.src = source
  }
  const large = gallery.find(".large img")
  const source = pictures.get(gallery.cursor)
  large.hidden = !source
  if (source && large.src !== source) large.src = source
}

function drawDetail(gallery) {
  const cell = gallery.cells.get(gallery.cursor)
  const lines = gallery.find(".facts")
  const chosen = gallery.selected.size
  if (!cell) return lines.replaceChildren(make("p", "", "No cell to show."))
  const shown = describeDecision(gallery, cell)
  const title = make("p", "name", chosen > 1 ? `${chosen} cells selected` : `Cell ${cell.number} · ${cell.file}`)
  const rows = [title, make("p", "", `Model: ${describeModel(cell)}`)]
  if (cell.model?.set.length > 1) rows.push(make("p", "small", `Not ruled out: ${cell.model.set.join(", ")}`))
  if (cell.model?.finer) rows.push(make("p", "small", `Finer opinion: ${cell.model.finer}`))
  for (const reason of cell.model?.reasons ?? []) rows.push(make("p", "small", reason))
  const by = decisionOf(gallery, cell.id)?.by
  rows.push(make("p", "", `Person: ${shown.mark} ${shown.text}${by ? ` (${by})` : ""}`))
  for (const comment of cell.comments) rows.push(make("p", "small", `✎ ${comment.by}: ${comment.text}`))
  lines.replaceChildren(...rows)
  gallery.find(".large img").alt = `Cell ${cell.number}, enlarged`
}

function announce(gallery, text) {
  gallery.find(".live").textContent = text
}
