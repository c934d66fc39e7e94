// The focus map drawn over a frame. Okabe-Ito colours, and a mark for each verdict so that colour is never the
// only cue: sharp a thin border, blurred one hatch and its blur in pixels, beyond repair a cross hatch, undecided dots.

const STYLE = {
  sharp: { colour: "0, 158, 115", fill: 0.08 },
  blurred: { colour: "230, 159, 0", fill: 0.13 },
  beyond_repair: { colour: "204, 121, 167", fill: 0.26 },
  undecided: { colour: "160, 166, 172", fill: 0.16 },
};

export function cellAt(focus, x, y) {
  const [top, left, bottom, right] = focus.image_area;
  if (x < left || y < top || x >= right || y >= bottom) return null;
  const row = Math.min(Math.floor((y - top) / focus.tile_px), focus.verdict.length - 1);
  const col = Math.min(Math.floor((x - left) / focus.tile_px), focus.verdict[0].length - 1);
  return { row, col, verdict: focus.verdict[row][col], sigma: focus.sigma_px[row][col], score: focus.score[row][col] };
}

// place(x, y) gives canvas pixels for frame pixels.
export function drawMap(canvas, focus, place, ratio) {
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, canvas.width, canvas.height);
  if (!focus) return;
  focus.verdict.forEach((line, row) => line.forEach((verdict, col) => {
    drawCell(pen, box(focus, row, col, place), verdict, focus.sigma_px[row][col]);
  }));
}

function box(focus, row, col, place) {
  const [top, left, bottom, right] = focus.image_area;
  const lastRow = row === focus.verdict.length - 1, lastCol = col === focus.verdict[0].length - 1;
  const [x0, y0] = place(left + col * focus.tile_px, top + row * focus.tile_px);
  const [x1, y1] = place(lastCol ? right : left + (col + 1) * focus.tile_px, lastRow ? bottom : top + (row + 1) * focus.tile_px);
  return { x0, y0, x1, y1, width: x1 - x0, height: y1 - y0 };
}

function drawCell(pen, at, verdict, sigma) {
  const { colour, fill } = STYLE[verdict];
  const strength = verdict === "blurred" ? fill * Math.min(2, 0.6 + (sigma ?? 1) / 6) : fill;
  pen.save();
  pen.beginPath();
  pen.rect(at.x0, at.y0, at.width, at.height);
  pen.clip();
  pen.fillStyle = `rgba(${colour}, ${strength})`;
  pen.fill();
  pen.strokeStyle = `rgba(${colour}, 0.42)`;
  pen.lineWidth = 1;
  if (verdict === "blurred" || verdict === "beyond_repair") hatch(pen, at, 1);
  if (verdict === "beyond_repair") hatch(pen, at, -1);
  if (verdict === "undecided") dots(pen, at, colour);
  pen.strokeStyle = `rgba(${colour}, 0.75)`;
  pen.strokeRect(at.x0 + 0.5, at.y0 + 0.5, at.width - 1, at.height - 1);
  pen.restore();
  if (sigma !== null && verdict !== "sharp" && at.width > 34) number(pen, at, sigma);
}

// One lattice for the whole picture, so that neighbouring tiles join.
function hatch(pen, at, direction) {
  const step = 10;
  const sum = (x, y) => x + direction * y;
  const corners = [sum(at.x0, at.y0), sum(at.x1, at.y0), sum(at.x0, at.y1), sum(at.x1, at.y1)];
  pen.beginPath();
  for (let c = Math.floor(Math.min(...corners) / step) * step; c <= Math.max(...corners); c += step) {
    pen.moveTo(c - direction * at.y0, at.y0);
    pen.lineTo(c - direction * at.y1, at.y1);
  }
  pen.stroke();
}

function dots(pen, at, colour) {
  const step = 12;
  pen.fillStyle = `rgba(${colour}, 0.75)`;
  for (let y = Math.ceil(at.y0 / step) * step; y < at.y1; y += step) {
    for (let x = Math.ceil(at.x0 / step) * step; x < at.x1; x += step) pen.fillRect(x, y, 2, 2);
  }
}

function number(pen, at, sigma) {
  const size = Math.max(10, Math.min(17, at.width / 5));
  pen.font = `600 ${size}px system-ui, sans-serif`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.lineWidth = 3;
  pen.strokeStyle = "rgba(0, 0, 0, 0.75)";
  pen.fillStyle = "#fff";
  const x = at.x0 + at.width / 2, y = at.y0 + at.height / 2;
  pen.strokeText(sigma.toFixed(1), x, y);
  pen.fillText(sigma.toFixed(1), x, y);
}
