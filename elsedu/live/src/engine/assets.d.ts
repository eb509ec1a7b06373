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
