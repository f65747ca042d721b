// Packages that ship ES modules only and are loaded by the tests, straight or through @grafana/*.
const esModules = [
  '@codemirror',
  '@grafana',
  '@lezer',
  '@marijn',
  '@openfeature',
  '@prometheus-io',
  'd3',
  'd3-.*',
  'delaunator',
  'geotiff',
  'i18next',
  'internmap',
  'lru-cache',
  'marked',
  'ol',
  'pbf',
  'quickselect',
  'rbush',
  'react-calendar',
  'get-user-locale',
  'memoize',
  'mimic-function',
  'react-colorful',
  'react-data-grid',
  'robust-predicates',
  'rxjs',
  'style-mod',
  'crelt',
  'w3c-keyname',
  'uuid',
  'uwrap',
  'tinyqueue',
  '@wojtekmaj',
];

module.exports = {
  testEnvironment: 'jsdom',
  testMatch: ['<rootDir>/{src,dashboards,preview}/**/*.test.{ts,tsx}'],
  setupFilesAfterEnv: ['<rootDir>/jest.setup.js'],
  moduleNameMapper: { '\\.(css|scss|sass|svg|png)$': '<rootDir>/jest.style.js' },
  transform: {
    '^.+\\.(t|j|mj)sx?$': [
      '@swc/jest',
      {
        sourceMaps: 'inline',
        jsc: {
          parser: { syntax: 'typescript', tsx: true, decorators: false, dynamicImport: true },
          transform: { react: { runtime: 'automatic' } },
        },
      },
    ],
  },
  transformIgnorePatterns: [`node_modules/(?!(?:.*/)?(${esModules.join('|')})/)`],
  // A test that hangs is a failure with a name, not a job that never ends.
  testTimeout: 20000,
};
