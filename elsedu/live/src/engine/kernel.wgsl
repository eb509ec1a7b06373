// LS and ELS as flash attention over patches, on the reader's own graphics processor (chapter "Computing it fast").
//
// Query: the window of the noisy image around one pixel. Keys: the patches that the pixel may be compared with.
// Values: their centre pixels. A workgroup serves one pixel and a share of the patches: its 64 members walk over the
// patches side by side, each keeps the softmax sums of what it has seen, and at the end the sums are merged in a tree.
// No distance is ever written to memory.

const channels = 1u;  // the engine puts in the number of channels of the images
const members = 64u;

struct Question {
    alpha: f32,
    rate: f32,         // a squared distance d weighs exp(-rate d)
    reach: f32,        // weights below exp(-reach) of the largest are left out
    first: u32,        // images first to first + images - 1 of the dictionary
    images: u32,
    splits: u32,       // workgroups that share the patches of a pixel
    height: u32,
    width: u32,
    radius: u32,       // of the window
    circular: u32,     // border: 1 circular, 0 zero
    equivariant: u32,  // 1 ELS, 0 LS
}

@group(0) @binding(0) var<uniform> question: Question;
@group(0) @binding(1) var<storage, read> x: array<f32>;           // (channels, height, width)
@group(0) @binding(2) var<storage, read> dictionary: array<f32>;  // (all images, channels, height, width)
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;  // (splits, pixels, 4 + 2 channels): see `answer`
@group(0) @binding(4) var<storage, read_write> sources: array<u32>;  // (splits, pixels)

// Sums over patches seen so far; weights are relative to the nearest of them.
struct State {
    nearest: f32,                // squared distance
    s: f32,                      // sum of weights
    u: f32,                      // sum of weight times log weight
    tied: f32,                   // 1: another patch is as near, within rounding
    source: u32,                 // image * pixels + position of the nearest
    v: array<f32, channels>,     // sum of weight times centre pixel
    v2: array<f32, channels>,    // sum of weight times its square
}

const nothing = 1e30;  // farther than any patch: exp(-rate nothing) is 0
const same = 1.000001;

fn merge(a: State, b: State) -> State {
    if (b.nearest < a.nearest) { return merge_nearer(b, a); }
    return merge_nearer(a, b);
}

// a is at least as near as b
fn merge_nearer(a: State, b: State) -> State {
    var both = a;
    let log_scale = question.rate * (a.nearest - b.nearest);
    let scale = exp(log_scale);
    both.s += scale * b.s;
    both.u += scale * (b.u + b.s * log_scale);
    for (var c = 0u; c < channels; c++) {
        both.v[c] += scale * b.v[c];
        both.v2[c] += scale * b.v2[c];
    }
    if (b.nearest <= a.nearest * same) { both.tied = 1.0; }
    return both;
}

// Where, along one axis, the patches stand that a pixel may be compared with: first place and number.
fn places(at: u32, size: u32) -> vec2u {
    if (question.equivariant == 0u) { return vec2u(at, 1u); }
    if (question.circular == 1u) { return vec2u(0u, size); }
    let radius = question.radius;
    if (at >= radius && at + radius < size) { return vec2u(radius, size - 2u * radius); }  // windows inside the image
    return vec2u(at, 1u);  // the zeros beyond the border give the place away
}

// Place `at + step` on an axis, wrapped around; -1: beyond a zero border.
fn moved(at: u32, step: i32, size: u32) -> i32 {
    let to = i32(at) + step;
    if (to >= 0 && to < i32(size)) { return to; }
    if (question.circular == 0u) { return -1; }
    return select(to - i32(size), to + i32(size), to < 0);
}

// Squared distance between the window of x around p and the patch of an image around q; stops beyond `limit`.
fn distance_to(image: u32, q: vec2u, p: vec2u, limit: f32) -> f32 {
    let pixels = question.height * question.width;
    let radius = i32(question.radius);
    var sum = 0.0;
    for (var i = -radius; i <= radius; i++) {
        let own_row = moved(p.x, i, question.height);
        if (own_row < 0) { continue; }
        let row = moved(q.x, i, question.height);
        var row_sum = 0.0;
        for (var j = -radius; j <= radius; j++) {
            let own_column = moved(p.y, j, question.width);
            if (own_column < 0) { continue; }
            let column = moved(q.y, j, question.width);
            let own = u32(own_row) * question.width + u32(own_column);
            let theirs = image * channels * pixels + u32(row) * question.width + u32(column);
            for (var c = 0u; c < channels; c++) {
                let difference = x[own + c * pixels] - question.alpha * dictionary[theirs + c * pixels];
                row_sum += difference * difference;
            }
        }
        sum += row_sum;
        if (sum > limit) { break; }
    }
    return sum;
}

var<workgroup> states: array<State, members>;

@compute @workgroup_size(members)
fn answer(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) member: vec3u) {
    let pixels = question.height * question.width;
    let p = vec2u(group.x / question.width, group.x % question.width);
    let rows = places(p.x, question.height);
    let columns = places(p.y, question.width);
    let per_image = rows.y * columns.y;
    let patches = question.images * per_image;
    let share = (patches + question.splits - 1u) / question.splits;
    let end = min((group.y + 1u) * share, patches);

    var state = State();
    state.nearest = nothing;
    for (var k = group.y * share + member.x; k < end; k += members) {
        let image = question.first + k / per_image;
        let place = k % per_image;
        let q = vec2u(rows.x + place / columns.y, columns.x + place % columns.y);
        let limit = state.nearest + question.reach / question.rate;
        let distance = distance_to(image, q, p, limit);
        if (distance > limit) { continue; }

        var alone = State();  // the sums of this patch alone
        alone.nearest = distance;
        alone.s = 1.0;
        alone.source = image * pixels + q.x * question.width + q.y;
        for (var c = 0u; c < channels; c++) {
            let value = dictionary[(image * channels + c) * pixels + q.x * question.width + q.y];
            alone.v[c] = value;
            alone.v2[c] = value * value;
        }
        state = merge(state, alone);
    }

    states[member.x] = state;
    for (var half = members / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (member.x < half) { states[member.x] = merge(states[member.x], states[member.x + half]); }
    }
    if (member.x == 0u) {
        let all = states[0];
        let at = group.y * pixels + group.x;
        let to = at * (4u + 2u * channels);
        sums[to] = all.nearest;
        sums[to + 1u] = all.s;
        sums[to + 2u] = all.u;
        sums[to + 3u] = all.tied;
        for (var c = 0u; c < channels; c++) {
            sums[to + 4u + c] = all.v[c];
            sums[to + 4u + channels + c] = all.v2[c];
        }
        sources[at] = all.source;
    }
}
