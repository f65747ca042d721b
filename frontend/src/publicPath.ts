/**
 * Lets chunks be loaded from wherever the host serves this plugin (a sub-path, a CDN): the host's module loader knows
 * the address the module itself came from. Imported first by each module.ts.
 */
import amdModule from 'amd-module';

const uri = amdModule?.uri;
if (uri) {
  __webpack_public_path__ = uri.slice(0, uri.lastIndexOf('/') + 1);
}
