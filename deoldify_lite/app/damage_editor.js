// Paints on damage and erases it, in the HTML of the module of this name. `element`, `props`, `upload`: of Gradio.

const find = (selector) => element.querySelector(selector);
const [sheet, stack, picture, canvas, brush] = [".sheet", ".stack", "img", "canvas", ".brush"].map(find);
const [erase, size, zoom] = [".erase", ".size", ".zoom"].map(find);
const shown = canvas.getContext("2d"); // all damage; its CSS makes it half transparent
const painted = document.createElement("canvas").getContext("2d"); // what the visitor has painted
const SHIFT = 8; // how much farther an arrow key goes with the shift key
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

let found = null; // the overlay that was sent
let strokes = []; // { erase, width, points }, in pixels of the canvas
let stroke = null; // the one under way
let at = [0, 0]; // where the brush is, in pixels of the canvas

// Pixels of the canvas for each pixel of the screen.
const scale = () => canvas.width / canvas.getBoundingClientRect().width;

function draw({ erase, width, points }) {
    for (const context of [shown, painted]) {
        context.globalCompositeOperation = erase ? "destination-out" : "source-over";
        context.strokeStyle = getComputedStyle(canvas).color;
        Object.assign(context, { lineWidth: width, lineCap: "round", lineJoin: "round" });
        context.beginPath();
        context.moveTo(points[0][0] - 0.01, points[0][1]); // a line without length may be left out
        for (const point of points) context.lineTo(...point);
        context.stroke();
    }
}

function redraw() {
    for (const context of [shown, painted]) context.clearRect(0, 0, canvas.width, canvas.height);
    shown.globalCompositeOperation = "source-over";
    shown.drawImage(found, 0, 0);
    strokes.forEach(draw);
}

function begin() {
    stroke = { erase: erase.checked, width: Math.max(1, size.valueAsNumber * scale()), points: [at] };
    strokes.push(stroke);
    draw(stroke);
}

function go(to) {
    if (stroke) {
        stroke.points.push(to);
        draw({ ...stroke, points: [at, to] });
    }
    at = to;
    showBrush();
}

function undo() {
    stroke = null;
    strokes.pop();
    redraw();
}

function showBrush() {
    const [x, y] = at.map((pixels) => pixels / scale());
    Object.assign(brush.style, { left: `${x}px`, top: `${y}px`, width: `${size.value}px`, height: `${size.value}px` });
}

// At zoom 1 all of it is seen. The brush keeps its size on the screen.
function fit() {
    stack.style.width = `calc(min(100%, 70vh * ${canvas.width / canvas.height}) * ${zoom.value})`;
    showBrush();
}

// Pixels of the screen from the upper left corner of the whole sheet, which is larger than what is seen of it.
function showInMiddle(x, y) {
    sheet.scrollTo(x - sheet.clientWidth / 2, y - sheet.clientHeight / 2);
}

function place(event) {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * scale(), (event.clientY - box.top) * scale()];
}

canvas.addEventListener("pointerdown", (event) => {
    if (event.button || !event.isPrimary) return;
    event.preventDefault(); // else a second click selects the text around
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    at = place(event);
    showBrush();
    begin();
});
canvas.addEventListener("pointermove", (event) => {
    if (!event.isPrimary) return;
    const all = event.getCoalescedEvents?.() ?? [];
    for (const each of all.length ? all : [event]) go(place(each));
});
canvas.addEventListener("pointerup", () => (stroke = null));
canvas.addEventListener("pointercancel", () => stroke && undo()); // two fingers zoom

canvas.addEventListener("keydown", (event) => {
    if (event.key in ARROWS) {
        const step = (size.valueAsNumber / 4) * scale() * (event.shiftKey ? SHIFT : 1);
        const limits = [canvas.width, canvas.height];
        go(at.map((pixels, i) => Math.min(Math.max(pixels + step * ARROWS[event.key][i], 0), limits[i])));
        showInMiddle(...at.map((pixels) => pixels / scale()));
    } else if (event.key === " ") {
        if (stroke) stroke = null;
        else begin();
    } else if (event.key === "z" && (event.ctrlKey || event.metaKey)) undo();
    else return;
    event.preventDefault();
});
canvas.addEventListener("blur", () => (stroke = null));

find(".undo").addEventListener("click", undo);
find(".reset").addEventListener("click", () => {
    strokes = [];
    undo();
});
size.addEventListener("input", showBrush);
zoom.addEventListener("input", () => {
    const x = (sheet.scrollLeft + sheet.clientWidth / 2) / sheet.scrollWidth;
    const y = (sheet.scrollTop + sheet.clientHeight / 2) / sheet.scrollHeight;
    fit();
    showInMiddle(x * sheet.scrollWidth, y * sheet.scrollHeight);
});

async function show() {
    const files = props.value;
    if (!files?.overlay) return;
    const overlay = new Image();
    overlay.src = files.overlay.url;
    picture.src = files.picture.url;
    await Promise.all([overlay.decode(), picture.decode()]);
    if (props.value !== files) return; // there is another photo by now
    found = overlay;
    [strokes, stroke] = [[], null];
    for (const { canvas } of [shown, painted]) [canvas.width, canvas.height] = [overlay.width, overlay.height];
    at = [overlay.width / 2, overlay.height / 2];
    zoom.value = 1;
    fit();
    redraw();
}

// A PNG of the marks: 255 where the visitor has painted, 128 where other damage is left, else 0. Null without changes.
canvas.uploadMarks = async () => {
    if (!strokes.length) return null;
    const { width, height } = canvas;
    const [left, added] = [shown, painted].map((context) => context.getImageData(0, 0, width, height).data);
    const marks = new ImageData(width, height);
    for (let i = 0; i < marks.data.length; i += 4) {
        const gray = added[i + 3] > 127 ? 255 : left[i + 3] > 127 ? 128 : 0;
        marks.data.set([gray, gray, gray, 255], i);
    }
    const copy = new OffscreenCanvas(width, height);
    copy.getContext("2d").putImageData(marks, 0, 0);
    const { path } = await upload(new File([await copy.convertToBlob()], "marks.png", { type: "image/png" }));
    return { path };
};

watch("value", show);
show();
