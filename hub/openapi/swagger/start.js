// Starts Swagger UI on this hub's own document. No validator: it is another host.
window.ui = SwaggerUIBundle({
  url: new URL("openapi.json", document.baseURI).href,
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "none",
  filter: true,
  defaultModelsExpandDepth: -1,
  defaultModelRendering: "example",
  validatorUrl: null,
  queryConfigEnabled: false,
  persistAuthorization: false,
});
