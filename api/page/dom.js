// Small tools for the document. All that comes from the server goes in as text, never as markup.

export const $ = (id) => document.getElementById(id);

// An element with properties, attributes (names with a dash, role, for) and children.
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (name in element && !name.includes("-")) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// Fills a select and keeps what was chosen where it is still there. `options`: [value, text] each.
export function fillSelect(select, options, value = select.value) {
  select.replaceChildren(...options.map(([key, text]) => el("option", { value: key }, text)));
  select.value = options.some(([key]) => key === value) ? value : options[0]?.[0] ?? "";
}

export function toast(text, bad = false) {
  const box = $("toast");
  box.textContent = text;
  box.className = bad ? "toast bad" : "toast";
  // As a popover it lies above open dialogs.
  if (box.matches(":popover-open")) box.hidePopover();
  box.showPopover();
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { if (box.matches(":popover-open")) box.hidePopover(); }, bad ? 9000 : 5000);
}

export function remembered(key) {
  try { return localStorage.getItem(`gatewatch.${key}`); } catch { return null; }
}

export function remember(key, value) {
  try { localStorage.setItem(`gatewatch.${key}`, value); } catch { /* Private windows may keep nothing. */ }
}
