// What the build (elsedu/live/build.mjs) puts in: the WebAssembly module, and scripts and shaders as texts.
declare module "*.wasm" {
  const bytes: Uint8Array<ArrayBuffer>;
  export default bytes;
}
declare module "worker:*" {
  const source: string;
  export default source;
}
declare module "*.wgsl" {
  const source: string;
  export default source;
}
// Constants of WebGPU that TypeScript's library leaves out.
declare const GPUBufferUsage: Record<"STORAGE" | "UNIFORM" | "COPY_DST" | "COPY_SRC" | "MAP_READ", number>;
declare const GPUMapMode: Record<"READ", number>;
