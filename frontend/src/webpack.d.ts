/** What webpack and the host's AMD loader provide at run time. */
declare module 'amd-module' {
  const amdModule: { uri?: string } | undefined;
  export default amdModule;
}

declare module '*.svg' {
  const url: string;
  export default url;
}

// Assigned, never read: webpack turns it into the address chunks are loaded from.
declare let __webpack_public_path__: string;
