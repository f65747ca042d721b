// Builds the app and its nested datasource the way create-plugin does for a 12.4 host: AMD modules, the host's own
// React, RxJS, Emotion and @grafana packages left external. Two differences: plugin.json of the app lies at the top
// of the repository, and the app and the datasource are two compilations, because Grafana serves a nested plugin from
// its own folder only (a chunk shared with the app could not be fetched by it).
const fs = require('node:fs');
const path = require('node:path');
const CopyPlugin = require('copy-webpack-plugin');

const top = path.resolve(__dirname, '..');
const source = path.join(__dirname, 'src');
const dist = path.join(__dirname, 'dist');
const { version } = require('./package.json');

// The date of the build; SOURCE_DATE_EPOCH makes it reproducible.
const epoch = process.env.SOURCE_DATE_EPOCH;
const today = (epoch === undefined ? new Date() : new Date(Number(epoch) * 1000)).toISOString().slice(0, 10);

const stamp = (content) => content.toString().replaceAll('%VERSION%', version).replaceAll('%TODAY%', today);

// What the host provides: see sharedDependencies.ts of grafana 12.4.
const externals = [
  { 'amd-module': 'module' },
  '@emotion/css',
  '@emotion/react',
  'i18next',
  'jquery',
  'lodash',
  'moment',
  'react',
  'react-dom',
  'react-inlinesvg',
  'react-redux',
  'react-router',
  'react/jsx-dev-runtime',
  'react/jsx-runtime',
  'redux',
  'rxjs',
  'rxjs/operators',
  /^@grafana\/ui$/i,
  /^@grafana\/runtime$/i,
  /^@grafana\/data$/i,
];

function compilation({ id, entry, out, copies, production }) {
  return {
    name: id,
    mode: production ? 'production' : 'development',
    devtool: production ? 'source-map' : 'eval-source-map',
    target: ['web', 'es2022'],
    context: __dirname,
    entry: { module: entry },
    externals,
    output: {
      path: out,
      filename: 'module.js',
      chunkFilename: '[name].[contenthash:8].js',
      library: { type: 'amd' },
      publicPath: `public/plugins/${id}/`,
      uniqueName: id,
      clean: { keep: (file) => /^(datasource\/|gpx_)/.test(file) },
    },
    resolve: { extensions: ['.ts', '.tsx', '.js'] },
    module: {
      rules: [
        {
          test: /\.tsx?$/,
          exclude: /node_modules/,
          use: {
            loader: 'swc-loader',
            options: {
              jsc: {
                target: 'es2022',
                parser: { syntax: 'typescript', tsx: true },
                transform: { react: { runtime: 'automatic' } },
              },
            },
          },
        },
        { test: /\.(svg|png)$/, type: 'asset/resource', generator: { filename: 'img/[name][ext]' } },
      ],
    },
    plugins: [new CopyPlugin({ patterns: copies })],
    optimization: { minimize: production, chunkIds: 'named' },
    performance: { hints: false },
    stats: 'errors-warnings',
  };
}

/** A copy pattern for a file at the top of the repository that may not be there in a partial checkout. */
function fromTop(file) {
  const from = path.join(top, file);
  return fs.existsSync(from) ? [{ from, to: path.join(dist, file), toType: 'file' }] : [];
}

module.exports = (env) => {
  const production = Boolean(env.production);
  return [
    compilation({
      id: 'podscope-warroom-app',
      entry: path.join(source, 'module.tsx'),
      out: dist,
      production,
      copies: [
        { from: path.join(top, 'plugin.json'), to: path.join(dist, 'plugin.json'), transform: stamp },
        { from: path.join(source, 'img'), to: path.join(dist, 'img') },
        ...fromTop('README.md'),
        ...fromTop('CHANGELOG.md'),
        ...fromTop('LICENSE'),
      ],
    }),
    compilation({
      id: 'podscope-fleet-datasource',
      entry: path.join(source, 'datasource', 'module.ts'),
      out: path.join(dist, 'datasource'),
      production,
      copies: [
        {
          from: path.join(source, 'datasource', 'plugin.json'),
          to: path.join(dist, 'datasource', 'plugin.json'),
          transform: stamp,
        },
        { from: path.join(source, 'img'), to: path.join(dist, 'datasource', 'img') },
      ],
    }),
  ];
};
