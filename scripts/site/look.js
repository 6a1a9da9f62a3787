// SPDX-License-Identifier: Apache-2.0
// What is wrong with the page that is open: a list of sentences. Contrast is that of WCAG 2, level AA.
() => {
  const found = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) {
    const wide = [...document.querySelectorAll("article *")].find(
      (one) => one.getBoundingClientRect().right > root.clientWidth + 1);
    found.push(`is ${root.scrollWidth} wide, as ${wide ? wide.outerHTML.slice(0, 120) : "?"}`);
  }
  for (const image of document.images) {
    if (!image.alt.trim()) found.push(`${image.src} has no text`);
    if (!image.complete || !image.naturalWidth) found.push(`${image.src} is not there`);
  }
  for (const drawing of document.querySelectorAll("svg[role=img]"))
    if (!drawing.getAttribute("aria-label")) found.push("a diagram has no text");

  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const parsed = (color) => {
    if (!known.has(color)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = color;
      canvas.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
      known.set(color, [r, g, b, a / 255]);
    }
    return known.get(color);
  };
  const over = (top, below) =>
    [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const backgrounds = new Map();
  const background = (element) => {
    if (!element) return [255, 255, 255, 1];
    if (!backgrounds.has(element)) {
      const color = parsed(getComputedStyle(element).backgroundColor);
      const below = color[3] === 1 ? color : background(element.parentElement);
      backgrounds.set(element, over(color, below));
    }
    return backgrounds.get(element);
  };
  const luminance = (color) => {
    const [r, g, b] = color.slice(0, 3).map((value) => {
      const part = value / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const seen = new Set();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || seen.has(element)) continue;
    seen.add(element);
    if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    if (element.closest("svg, script, style, .headerlink, .md-search, .md-top, .md-skip")) continue;
    const style = getComputedStyle(element);
    const below = background(element);
    const text = over(parsed(style.color), below);
    const [light, dark] = [luminance(text), luminance(below)].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const ratio = (light + 0.05) / (dark + 0.05);
    if (ratio < (large ? 3 : 4.5) - 0.01)
      found.push(`contrast ${ratio.toFixed(2)}: ${element.className || element.tagName} ${style.color}`);
  }
  return [...new Set(found)];
}
